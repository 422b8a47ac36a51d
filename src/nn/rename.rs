//! The names that tensors have in somebody else's file, turned into those of a network.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use crate::config::yaml;
use crate::error::{Error, Result};
use crate::files::Named;

/// The tensors whose name begins with `prefix`, without it, and how many others there are.
pub fn below(prefix: &str, tensors: Named, file: &Path) -> Result<(Named, usize)> {
    let all = tensors.len();
    let own: Named = tensors
        .into_iter()
        .filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_owned(), t)))
        .collect();
    if own.is_empty() {
        return Err(Error::file(
            file,
            format!("no tensor's name begins with `{prefix}`"),
            "check --prefix",
        ));
    }
    let others = all - own.len();
    Ok((own, others))
}

/// A file of old names and new ones. An entry that ends in a dot renames the beginning of every name that begins so.
pub struct NameMap {
    file: PathBuf,
    entries: BTreeMap<String, String>,
}

impl NameMap {
    /// # Errors
    /// When the file is no map of names, or a beginning would not end in a dot any more.
    pub fn load(file: &Path) -> Result<Self> {
        let tree = yaml::parse(&yaml::read(file)?, file)?;
        let sides = tree
            .as_mapping()
            .into_iter()
            .flatten()
            .flat_map(|(old, new)| [old, new]);
        if let Some(number) = sides.into_iter().find_map(|side| side.as_f64()) {
            return Err(yaml::config(
                file,
                "",
                format!("a name that looks like the number {number}"),
                "put names such as '0.' in quotes",
            ));
        }
        let entries: BTreeMap<String, String> = yaml::typed(tree, file)?;
        for (old, new) in entries.iter().filter(|(old, _)| is_beginning(old)) {
            if !new.is_empty() && !is_beginning(new) {
                return Err(yaml::config(
                    file,
                    old,
                    format!("`{new}` does not end in a dot, as what it replaces does"),
                    format!("write `{new}.`, or the whole name of one tensor on both sides"),
                ));
            }
        }
        Ok(Self {
            file: file.into(),
            entries,
        })
    }

    /// Renames tensors of `source`: a whole name goes before a beginning, a longer beginning before a shorter one, and
    /// what no entry names keeps its name.
    ///
    /// # Errors
    /// When an entry fits no tensor, or two tensors would have one name.
    pub fn apply(&self, tensors: Named, source: &Path) -> Result<Named> {
        let fits = |old: &String| match is_beginning(old) {
            true => tensors.keys().any(|name| name.starts_with(old)),
            false => tensors.contains_key(old),
        };
        if let Some(unknown) = self.entries.keys().find(|old| !fits(old)) {
            return Err(Error::file(
                &self.file,
                format!("`{unknown}` is not in {}", source.display()),
                "name a tensor of that file without the prefix, or with a dot at the end the beginning of some",
            ));
        }
        let mut renamed = Named::new();
        for (name, tensor) in tensors {
            let new = self.rename(&name);
            if renamed.insert(new.clone(), tensor).is_some() {
                return Err(Error::file(
                    &self.file,
                    format!("two tensors would be called `{new}`, one of them `{name}`"),
                    "give each tensor a name of its own",
                ));
            }
        }
        Ok(renamed)
    }

    fn rename(&self, name: &str) -> String {
        if let Some(new) = self.entries.get(name) {
            return new.clone();
        }
        let beginnings = self.entries.iter().filter(|(old, _)| is_beginning(old));
        let fitting = beginnings.filter_map(|(old, new)| Some((old.len(), new, name.strip_prefix(old.as_str())?)));
        match fitting.max_by_key(|(length, ..)| *length) {
            Some((_, new, rest)) => format!("{new}{rest}"),
            None => name.to_owned(),
        }
    }
}

/// Whether an entry stands for every name that begins so.
fn is_beginning(name: &str) -> bool {
    name.ends_with('.')
}

/// Numbers as the network holds them: f32 for whatever is floating point.
pub fn in_single_precision(tensors: Named) -> Named {
    let convert = |t: Tensor| match t.is_floating_point() {
        true => t.to_kind(Kind::Float),
        false => t,
    };
    tensors.into_iter().map(|(name, t)| (name, convert(t))).collect()
}

/// Gives batch norms their count of batches, 0, where a file has none, as those of old PyTorch; returns how many.
pub fn count_batches(tensors: &mut Named) -> usize {
    let counts = tensors.keys().filter_map(|name| {
        let norm = name.strip_suffix("running_var")?;
        Some(format!("{norm}num_batches_tracked"))
    });
    let missing: Vec<String> = counts.filter(|count| !tensors.contains_key(count)).collect();
    let zero = || Tensor::zeros([], (Kind::Int64, Device::Cpu));
    tensors.extend(missing.iter().map(|name| (name.clone(), zero())));
    missing.len()
}

//! Which file of `src` names something of which other one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::{self, Visit};

/// A module's path below the crate: `["cli", "train"]`.
type Module = Vec<String>;

/// The files of a crate, and what each names.
pub struct House {
    files: BTreeMap<Module, File>,
}

/// What stands in a file.
#[derive(Default)]
struct File {
    children: BTreeSet<String>,
    /// Names that it hands on, with the paths that they stand for.
    handed_on: BTreeMap<String, Vec<String>>,
    /// Rooms whose every name it hands on.
    globs: Vec<Vec<String>>,
    /// Paths that its own code names.
    named: BTreeSet<Vec<String>>,
}

impl House {
    /// The crate's own.
    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut texts = Vec::new();
        collect(&root, &root, &mut texts);
        Self::of(&texts.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect::<Vec<_>>())
    }

    /// Of files by their names without `.rs` and `/mod`, and their texts; `lib` is the crate itself.
    pub fn of(texts: &[(&str, &str)]) -> Self {
        let parse = |(name, text): &(&str, &str)| {
            let parsed = syn::parse_file(text).unwrap_or_else(|e| panic!("{name}: {e}"));
            let mut file = File::default();
            file.visit_file(&parsed);
            (module(name), file)
        };
        Self {
            files: texts.iter().map(parse).collect(),
        }
    }

    pub fn files(&self) -> impl Iterator<Item = String> {
        self.files.keys().map(shown)
    }

    /// The room that a file stands in: the first part of its name.
    pub fn room(file: &str) -> String {
        file.split('/').next().unwrap_or_default().to_owned()
    }

    /// Every pair of files of which the first names something of the second.
    pub fn arrows(&self) -> impl Iterator<Item = (String, String)> {
        let targets = |(from, file): (&Module, &File)| {
            let named = file.named.iter().filter_map(|path| self.target(from, path));
            let named: BTreeSet<Module> = named.filter(|to| to != from && !to.is_empty()).collect();
            let from = shown(from);
            named
                .into_iter()
                .map(move |to| (from.clone(), shown(&to)))
                .collect::<Vec<_>>()
        };
        self.files.iter().filter(|(m, _)| !m.is_empty()).flat_map(targets)
    }

    /// The file that a path named in `from` leads to; none where it leads out of the crate.
    fn target(&self, from: &Module, path: &[String]) -> Option<Module> {
        let (mut at, rest) = match path[0].as_str() {
            "crate" => (Module::new(), &path[1..]),
            "self" => (from.clone(), &path[1..]),
            "super" => {
                let ups = path.iter().take_while(|p| *p == "super").count();
                (from[..from.len().checked_sub(ups)?].to_vec(), &path[ups..])
            }
            first if self.files[from].children.contains(first) => (from.clone(), path),
            _ => return None,
        };
        for (i, name) in rest.iter().enumerate() {
            let file = self.files.get(&at)?;
            if file.children.contains(name) {
                at.push(name.clone());
                continue;
            }
            if let Some(path) = file.handed_on.get(name) {
                let path: Vec<String> = path.iter().chain(&rest[i + 1..]).cloned().collect();
                return self.target(&at, &path).or(Some(at));
            }
            let of_globs = file.globs.iter().find_map(|glob| self.target(&at, glob));
            return Some(of_globs.unwrap_or(at));
        }
        Some(at)
    }

    /// Every set of files that name each other in a loop, with the arrows inside.
    pub fn circles(&self) -> Vec<String> {
        let arrows: Vec<(String, String)> = self.arrows().collect();
        let mut reach: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (from, _) in &arrows {
            let mut seen = BTreeSet::new();
            let mut next = vec![from.as_str()];
            while let Some(at) = next.pop() {
                let further = arrows.iter().filter(|(f, _)| f == at).map(|(_, to)| to.as_str());
                next.extend(further.filter(|to| seen.insert(*to)));
            }
            reach.insert(from, seen);
        }
        let together = |a: &str, b: &str| {
            let reaches = |x: &str, y: &str| reach.get(x).is_some_and(|seen| seen.contains(y));
            reaches(a, b) && reaches(b, a)
        };
        let mut circles = BTreeSet::new();
        for file in reach.keys().filter(|file| together(file, file)) {
            circles.insert(reach.keys().filter(|other| together(file, other)).collect::<Vec<_>>());
        }
        let inside = |circle: &Vec<&&str>| {
            let both = |pair: &&(String, String)| {
                [&pair.0, &pair.1]
                    .iter()
                    .all(|f| circle.iter().any(|c| **c == f.as_str()))
            };
            let arrows: Vec<String> = arrows.iter().filter(both).map(|(a, b)| format!("{a} -> {b}")).collect();
            let files: Vec<&str> = circle.iter().map(|f| **f).collect();
            format!("{}: {}", files.join(", "), arrows.join(", "))
        };
        circles.iter().map(inside).collect()
    }
}

fn collect(root: &Path, folder: &Path, texts: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, texts);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let name = path.strip_prefix(root).unwrap().with_extension("");
            let name = name.to_str().unwrap().to_owned();
            texts.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn module(name: &str) -> Module {
    let name = name.strip_suffix("/mod").unwrap_or(name);
    match name {
        "lib" => Module::new(),
        _ => name.split('/').map(str::to_owned).collect(),
    }
}

fn shown(module: &Module) -> String {
    module.join("/")
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is_cfg_test = |a: &syn::Attribute| match &a.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        _ => false,
    };
    attributes.iter().any(is_cfg_test)
}

/// Every path that a tree of imports names, with the name that it gets.
fn flattened(tree: &syn::UseTree, before: &[String], found: &mut Vec<(Vec<String>, Option<String>)>) {
    let with = |name: &syn::Ident| before.iter().cloned().chain([name.to_string()]).collect::<Vec<_>>();
    match tree {
        syn::UseTree::Path(path) => flattened(&path.tree, &with(&path.ident), found),
        syn::UseTree::Name(name) if name.ident == "self" => found.push((before.to_vec(), before.last().cloned())),
        syn::UseTree::Name(name) => found.push((with(&name.ident), Some(name.ident.to_string()))),
        syn::UseTree::Rename(name) => found.push((with(&name.ident), Some(name.rename.to_string()))),
        syn::UseTree::Glob(_) => found.push((before.to_vec(), None)),
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| flattened(tree, before, found)),
    }
}

impl<'ast> Visit<'ast> for File {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        match (is_test(&item.attrs), &item.content) {
            (true, _) => {}
            (false, None) => drop(self.children.insert(item.ident.to_string())),
            (false, Some(_)) => visit::visit_item_mod(self, item),
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut found = Vec::new();
        flattened(&item.tree, &[], &mut found);
        let is_private = matches!(item.vis, syn::Visibility::Inherited);
        for (path, name) in found {
            match name {
                _ if is_private => drop(self.named.insert(path)),
                Some(name) => drop(self.handed_on.insert(name, path)),
                None => self.globs.push(path),
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 && path.leading_colon.is_none() {
            self.named
                .insert(path.segments.iter().map(|s| s.ident.to_string()).collect());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        // What stands inside of a macro is no syntax yet: paths are found by their words.
        let text = item.tokens.to_string().replace(' ', "");
        let is_word = |c: char| c == ':' || c == '_' || c.is_alphanumeric();
        for word in text.split(|c| !is_word(c)) {
            let parts: Vec<String> = word.split("::").map(str::to_owned).collect();
            if ["crate", "super", "self"].contains(&parts[0].as_str()) && parts.iter().all(|p| !p.is_empty()) {
                self.named.insert(parts);
            }
        }
        visit::visit_macro(self, item);
    }
}

//! Files of weights that are no safetensors: what each is, and the line of Python that converts it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes that tell the forms apart; a zip archive's first names stand among them.
const BEGINNING: u64 = 4096;

/// Reads what `torch.save` wrote from the file FROM, without running code of the file.
const LOAD: &str = r#"torch.load(FROM, map_location="cpu", weights_only=True)"#;
/// Reads what `torch.jit.save` wrote; this runs the program that such a file is.
const JIT: &str = r#"torch.jit.load(FROM, map_location="cpu").state_dict()"#;

/// Refuses a file that is known to be something else than safetensors; any other is left to who
/// reads it.
///
/// # Errors
/// Says what it is and how to convert it.
pub(super) fn refuse(path: &Path) -> Result<()> {
    let mut beginning = Vec::new();
    let read = File::open(path).and_then(|f| f.take(BEGINNING).read_to_end(&mut beginning));
    // What cannot be read is worded by the reader.
    if read.is_err() {
        return Ok(());
    }
    let Some((what, load)) = known(&beginning) else {
        return Ok(());
    };
    let remedy = match load {
        Some(load) => format!("convert it by {}", conversion(path, load)),
        None => "save the weights of the network as safetensors, a PyTorch state dict".into(),
    };
    Err(Error::file(path, format!("is {what}, not safetensors"), remedy))
}

/// What a file is by its first bytes, and what reads its state dict in Python.
fn known(bytes: &[u8]) -> Option<(&'static str, Option<&'static str>)> {
    let holds = |words: &[u8]| bytes.windows(words.len()).any(|part| part == words);
    Some(match bytes {
        [b'P', b'K', 3, 4, ..] if holds(b"/code/") || holds(b"/constants.pkl") => {
            ("a TorchScript file (torch.jit.save)", Some(JIT))
        }
        [b'P', b'K', 3, 4, ..] if holds(b".npy") => ("an archive of NumPy arrays", None),
        [b'P', b'K', 3, 4, ..] => ("a PyTorch file (torch.save)", Some(LOAD)),
        // A pickle of protocol 2 to 5.
        [0x80, 2..=5, ..] => ("a pickle, as older PyTorch saved files", Some(LOAD)),
        [0x89, b'H', b'D', b'F', ..] => ("an HDF5 file, as Keras saves", None),
        _ => return None,
    })
}

/// A command in one line; names in it are quoted for Python, and the whole for a shell.
fn conversion(path: &Path, load: &str) -> String {
    // A string of JSON is one of Python.
    let quoted = |p: &Path| serde_json::Value::from(p.to_string_lossy()).to_string();
    let load = load.replace("FROM", &quoted(path));
    let to = quoted(&path.with_extension("safetensors"));
    let script = format!(
        "import torch; from safetensors.torch import save_file; s = {load}; s = s.get(\"state_dict\", s); \
         save_file({{k: v.detach().clone().contiguous() for k, v in s.items() if torch.is_tensor(v)}}, {to})"
    );
    format!("python3 -c '{}'", script.replace('\'', r"'\''"))
}

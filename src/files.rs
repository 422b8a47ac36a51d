//! Files that are whole or absent: atomic writes, and named tensors as safetensors.

mod read;
mod write;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};

pub(crate) use read::read_regular;
pub(crate) use write::{TEMPORARY, temporary_name};
pub use write::{create_parent, ensure_writable, is_stream, probe, sync_parent, write_atomic, write_synced};

/// Tensors by name.
pub type Named = BTreeMap<String, Tensor>;

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Named tensors as the bytes of a safetensors file; the same tensors always give the same bytes.
pub fn encode(tensors: &Named) -> Result<Vec<u8>> {
    let raw = tensors
        .iter()
        .map(|(name, t)| Ok((name, raw_bytes(t)?)))
        .collect::<Result<Vec<_>>>()?;
    let views = raw
        .iter()
        .map(|(name, (dtype, shape, bytes))| {
            let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(|e| damaged("tensor", e))?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize(views, None).map_err(|e| damaged("tensors", e))
}

/// Named tensors from the bytes of a safetensors file; `place` names it in errors.
pub fn decode(bytes: &[u8], place: &str) -> Result<Named> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(place, e))?;
    file.iter()
        .map(|(name, view)| {
            let shape = shape(view.shape()).ok_or_else(|| {
                let what = format!("tensor {name} has the impossible shape {:?}", view.shape());
                damaged(place, what)
            })?;
            let tensor = Tensor::f_from_data_size(view.data(), &shape, kind(view.dtype(), place)?)?;
            Ok((name.to_owned(), tensor))
        })
        .collect()
}

/// A shape as LibTorch takes it, whose numbers can be counted; a side of 0 hides the others from
/// the file's own check.
fn shape(sides: &[usize]) -> Option<Vec<i64>> {
    let count = sides
        .iter()
        .try_fold(1i64, |count, n| count.checked_mul(i64::try_from(*n).ok()?.max(1)));
    count.map(|_| sides.iter().map(|&n| n as i64).collect())
}

/// Reads a safetensors file.
///
/// # Errors
/// When there is no such file, or it is damaged.
pub fn read(path: &Path) -> Result<Named> {
    let bytes = fs::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::file(path, "no such file", "check the path"),
        _ => Error::Io {
            path: path.into(),
            source: e,
        },
    })?;
    decode(&bytes, &path.display().to_string())
}

fn damaged(place: &str, e: impl std::fmt::Display) -> Error {
    Error::input(
        place,
        format!("not a usable safetensors file: {e}"),
        "use another copy of the file",
    )
}

fn raw_bytes(tensor: &Tensor) -> Result<(Dtype, Vec<usize>, Vec<u8>)> {
    let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
    let shape = tensor.size().iter().map(|&n| n as usize).collect();
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok((dtype(tensor.kind()), shape, bytes))
}

const KINDS: [(Kind, Dtype); 9] = [
    (Kind::Float, Dtype::F32),
    (Kind::Double, Dtype::F64),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Half, Dtype::F16),
    (Kind::Int64, Dtype::I64),
    (Kind::Int, Dtype::I32),
    (Kind::Int16, Dtype::I16),
    (Kind::Uint8, Dtype::U8),
    (Kind::Bool, Dtype::BOOL),
];

fn dtype(kind: Kind) -> Dtype {
    let pair = KINDS.iter().find(|(k, _)| *k == kind);
    pair.unwrap_or_else(|| panic!("tensors of kind {kind:?} are never stored"))
        .1
}

fn kind(dtype: Dtype, place: &str) -> Result<Kind> {
    let pair = KINDS.iter().find(|(_, d)| *d == dtype);
    pair.map(|(k, _)| *k).ok_or_else(|| {
        Error::input(
            place,
            format!("holds a tensor of type {dtype:?}"),
            "store it as F32, F64, F16, BF16, I64, I32, I16, U8 or BOOL",
        )
    })
}

/// Refuses tensors that hold a NaN or an infinity.
///
/// # Errors
/// Names each such tensor and how many of its numbers are none: `w (3 of 27 numbers)`.
pub fn ensure_finite(tensors: &Named, place: &str) -> Result<()> {
    const LISTED: usize = 5;
    let mut faults = Vec::new();
    for (name, tensor) in tensors.iter().filter(|(_, t)| t.is_floating_point()) {
        let bad = tensor.isfinite().logical_not().sum(Kind::Int64).f_int64_value(&[])?;
        if bad > 0 {
            faults.push(format!("{name} ({bad} of {} numbers)", tensor.numel()));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let more = if faults.len() > LISTED { ", ..." } else { "" };
    let listed = faults.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>();
    Err(Error::input(
        place,
        format!(
            "{} tensors hold NaN or infinities: {}{more}",
            faults.len(),
            listed.join(", ")
        ),
        "use numbers of before the training that made them diverged, such as an older checkpoint",
    ))
}

/// Compares what is there with what is expected, name by name, and words every difference in one error.
///
/// # Errors
/// Lists what is missing, what is extra, and what has another shape or kind; nothing was copied then.
pub fn check_same(expected: &[(String, Tensor)], found: &Named, place: &str) -> Result<()> {
    let mut faults = Vec::new();
    for (name, want) in expected {
        match found.get(name) {
            None => faults.push(format!("`{name}` is missing")),
            Some(have) if have.size() != want.size() => faults.push(format!(
                "`{name}` has shape {:?}, expected {:?}",
                have.size(),
                want.size()
            )),
            Some(have) if have.kind() != want.kind() => {
                faults.push(format!("`{name}` is {:?}, expected {:?}", have.kind(), want.kind()))
            }
            Some(_) => {}
        }
    }
    let known = |name: &String| expected.iter().any(|(n, _)| n == name);
    faults.extend(
        found
            .keys()
            .filter(|n| !known(n))
            .map(|n| format!("`{n}` is not expected")),
    );
    if faults.is_empty() {
        return Ok(());
    }
    let shown = faults.iter().take(8).cloned().collect::<Vec<_>>().join("; ");
    let more = faults.len().saturating_sub(8);
    let tail = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    Err(Error::input(
        place,
        format!("tensors do not match: {shown}{tail}"),
        "use the architecture and configuration that these tensors were made with",
    ))
}

//! Small files in every format that the loaders read, and what all these tests share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ebm::data::Wanted;
use ebm::data::{Augment, DataConfig, Dataset, FitRule, FolderConfig, StackConfig};
use image::{Rgb, RgbImage};
use tch::Device;
use tch::Tensor;

/// Torch's generator belongs to the process: tests that draw take turns where they are threads of one.
pub fn drawing() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn config(dataset: Dataset) -> DataConfig {
    DataConfig {
        dataset,
        root: "no-such-root".into(),
        validation: 0,
        split_seed: 0,
        limit: None,
        labels_per_class: None,
        augment: Augment::default(),
        labelled_augment: None,
        noise: 0.0,
        labelled_noise: None,
    }
}

pub fn folder(path: &Path, fit: FitRule) -> DataConfig {
    config(Dataset::Folder(FolderConfig {
        path: path.into(),
        test: None,
        fit: Some(fit),
    }))
}

/// Images of another set as a run of this shape wants them, by the rule `crop`.
pub fn wanted(root: &Path, input: [i64; 3], limit: Option<usize>) -> Wanted<'_> {
    Wanted {
        root,
        input,
        fit: FitRule::Crop,
        device: Device::Cpu,
        limit,
        seed: 0,
    }
}

pub fn idx(images: &Path, labels: Option<&Path>) -> DataConfig {
    config(Dataset::Idx(StackConfig {
        images: images.into(),
        labels: labels.map(Into::into),
        test_images: None,
        test_labels: None,
    }))
}

pub fn npy(images: &Path, labels: Option<&Path>) -> DataConfig {
    config(Dataset::Npy(StackConfig {
        images: images.into(),
        labels: labels.map(Into::into),
        test_images: None,
        test_labels: None,
    }))
}

/// The same set as training and test images, so that a test sees all of it.
pub fn with_itself_as_test(mut cfg: DataConfig) -> DataConfig {
    match &mut cfg.dataset {
        Dataset::Idx(s) => {
            s.test_images = Some(s.images.clone());
            s.test_labels = s.labels.clone();
        }
        Dataset::Npy(s) => {
            s.test_images = Some(s.images.clone());
            s.test_labels = s.labels.clone();
        }
        Dataset::Folder(s) => s.test = Some(s.path.clone()),
        _ => unreachable!("only sets of files have test files"),
    }
    cfg
}

/// Bytes that differ from their neighbours: 0, 7, 14, ... modulo 251.
pub fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 7 % 251) as u8).collect()
}

pub fn write(path: PathBuf, bytes: impl AsRef<[u8]>) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

pub fn idx_bytes(sizes: &[u32], content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, sizes.len() as u8];
    sizes.iter().for_each(|s| bytes.extend(s.to_be_bytes()));
    bytes.extend(content);
    bytes
}

/// A .npy file of version 1, padded to a multiple of 64 as NumPy does.
pub fn npy_bytes(descr: &str, shape: &[i64], content: &[u8]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|s| format!("{s},")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let padded = (10 + header.len() + 1).next_multiple_of(64);
    header.extend(std::iter::repeat_n(' ', padded - 11 - header.len()));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(content);
    bytes
}

/// A picture whose red, green and blue are this function of the place.
pub fn picture(w: u32, h: u32, f: impl Fn(u32, u32) -> [u8; 3]) -> RgbImage {
    RgbImage::from_fn(w, h, |x, y| Rgb(f(x, y)))
}

pub fn save(picture: &RgbImage, path: PathBuf) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    picture.save(&path).unwrap();
    path
}

pub fn bytes(t: &Tensor) -> Vec<u8> {
    Vec::<u8>::try_from(t.flatten(0, -1)).unwrap()
}

pub fn numbers(t: &Tensor) -> Vec<i64> {
    Vec::<i64>::try_from(t).unwrap()
}

pub fn floats(t: &Tensor) -> Vec<f32> {
    Vec::<f32>::try_from(t.flatten(0, -1).contiguous()).unwrap()
}

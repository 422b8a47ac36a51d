//! The sets that have a name: where their official files lie, the hashes of these, and the names of their classes.

use std::path::{Path, PathBuf};

use tch::Device;

use super::formats::stack::labelled;
use super::formats::{cifar, idx, svhn};
use super::split::SourceRecord;
use super::{Images, hash};
use crate::error::{Error, Result};

/// A file and the SHA-256 of the official one, where it is pinned.
type Pinned = (&'static str, Option<&'static str>);

/// A set with a name.
pub(super) struct Named {
    /// As people write it.
    pub name: &'static str,
    folder: &'static str,
    pub shape: [i64; 3],
    format: Format,
    classes: &'static [&'static str],
    train: &'static [Pinned],
    test: &'static [Pinned],
    remedy: &'static str,
}

enum Format {
    /// The images' file, then the labels'.
    Idx,
    Cifar(cifar::Format),
    /// One file with images and labels.
    Svhn,
}

impl Named {
    /// The training images, and the record of their files.
    pub fn train(&self, root: &Path, device: Device) -> Result<(Images, Vec<SourceRecord>)> {
        self.read(self.train, root, device)
    }

    /// The test images, and the record of their files.
    pub fn test(&self, root: &Path, device: Device) -> Result<(Images, Vec<SourceRecord>)> {
        self.read(self.test, root, device)
    }

    fn read(&self, files: &[Pinned], root: &Path, device: Device) -> Result<(Images, Vec<SourceRecord>)> {
        let folder = root.join(self.folder);
        let paths: Vec<PathBuf> = files.iter().map(|(name, _)| folder.join(name)).collect();
        let mut records = Vec::with_capacity(files.len());
        for (path, (_, pinned)) in paths.iter().zip(files) {
            records.push(SourceRecord::content(path, self.verified(path, *pinned)?));
        }
        let images = match self.format {
            Format::Idx => {
                let pixels = idx::stack(&paths[0])?.read(device)?;
                let labels = idx::labels(&paths[1])?;
                labelled(pixels, &paths[0], (&paths[1], labels), Some(self.classes))?
            }
            Format::Cifar(format) => cifar::read(&paths, format, self.classes, device)?,
            Format::Svhn => svhn::read(&paths[0], self.classes, device)?,
        };
        Ok((images, records))
    }

    /// The hash of a file that is there and, where one is pinned, has it.
    fn verified(&self, path: &Path, pinned: Option<&str>) -> Result<String> {
        if !path.is_file() {
            return Err(Error::file(
                path,
                "no such file",
                format!(
                    "{}, or name the folder that holds `{}` by --root",
                    self.remedy, self.folder
                ),
            ));
        }
        let found = hash::file(path)?;
        match pinned {
            Some(expected) if expected != found => Err(Error::file(
                path,
                format!("is not the official file: expected the SHA-256 {expected}, found {found}"),
                format!("remove it, then {}", self.remedy),
            )),
            _ => Ok(found),
        }
    }
}

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

pub(super) static MNIST: Named = Named {
    name: "MNIST",
    folder: "mnist",
    shape: [1, 28, 28],
    format: Format::Idx,
    classes: &DIGITS,
    train: &[
        (
            "train-images-idx3-ubyte",
            Some("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        ),
        (
            "train-labels-idx1-ubyte",
            Some("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        ),
    ],
    test: &[
        (
            "t10k-images-idx3-ubyte",
            Some("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        ),
        (
            "t10k-labels-idx1-ubyte",
            Some("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        ),
    ],
    remedy: "run ./download_data.sh mnist",
};

pub(super) static FASHION_MNIST: Named = Named {
    name: "Fashion-MNIST",
    folder: "fashion-mnist",
    shape: [1, 28, 28],
    format: Format::Idx,
    classes: &[
        "t-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle-boot",
    ],
    train: &[
        (
            "train-images-idx3-ubyte",
            Some("c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        ),
        (
            "train-labels-idx1-ubyte",
            Some("bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        ),
    ],
    test: &[
        (
            "t10k-images-idx3-ubyte",
            Some("5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        ),
        (
            "t10k-labels-idx1-ubyte",
            Some("0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
        ),
    ],
    remedy: "run ./download_data.sh fashion-mnist",
};

pub(super) static CIFAR10: Named = Named {
    name: "CIFAR-10",
    folder: "cifar10",
    shape: [3, 32, 32],
    format: Format::Cifar(cifar::Format::Cifar10),
    classes: &[
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ],
    train: &[
        (
            "data_batch_1.bin",
            Some("cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        ),
        (
            "data_batch_2.bin",
            Some("a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        ),
        (
            "data_batch_3.bin",
            Some("bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        ),
        (
            "data_batch_4.bin",
            Some("014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        ),
        (
            "data_batch_5.bin",
            Some("755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        ),
    ],
    test: &[(
        "test_batch.bin",
        Some("8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    )],
    remedy: "run ./download_data.sh cifar10",
};

pub(super) static CIFAR100: Named = Named {
    name: "CIFAR-100",
    folder: "cifar100",
    shape: [3, 32, 32],
    format: Format::Cifar(cifar::Format::Cifar100),
    classes: &CIFAR100_CLASSES,
    train: &[("train.bin", None)],
    test: &[("test.bin", None)],
    remedy: "unpack train.bin and test.bin of the official cifar-100-binary.tar.gz into that folder",
};

pub(super) static SVHN: Named = Named {
    name: "SVHN",
    folder: "svhn",
    shape: [3, 32, 32],
    format: Format::Svhn,
    classes: &DIGITS,
    train: &[("train_32x32.mat", None)],
    test: &[("test_32x32.mat", None)],
    remedy: "put train_32x32.mat and test_32x32.mat of SVHN's cropped digits (format 2) into that folder",
};

#[rustfmt::skip]
const CIFAR100_CLASSES: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
];

//! Mutated pictures and stacks, each with what may come of it.

use std::collections::BTreeMap;

use super::bytes;
use super::headers;
use super::plan::Dice;
use super::sources::{Decoded, Source, decode, png, single};

/// What may come of a file. Images are named by [`Twins`].
#[derive(Debug, PartialEq)]
pub enum Claim {
    Refused,
    /// Scored, each image as this one.
    Exactly(Vec<String>),
    /// Refused, or scored as these.
    RefusedOr(Vec<String>),
    /// Refused, or scored with finite numbers.
    Finite,
}

/// A file to score.
pub struct Mutant {
    pub number: u64,
    pub kind: &'static str,
    pub name: String,
    pub bytes: Vec<u8>,
    pub claim: Claim,
}

/// Whole PNG files that say how an image is scored, by name.
#[derive(Default)]
pub struct Twins(pub BTreeMap<String, Vec<u8>>);

impl Twins {
    fn names(&mut self, images: &[Vec<u8>]) -> Vec<String> {
        let name = |image: &Vec<u8>| format!("{}.png", &ebm::files::sha256(image)[..16]);
        images
            .iter()
            .for_each(|image| drop(self.0.insert(name(image), image.clone())));
        images.iter().map(name).collect()
    }

    /// What may come of bytes that are not known to be damaged: what a decoder makes of them.
    fn decoded(&mut self, bytes: &[u8]) -> Claim {
        match decode(bytes) {
            Decoded::Picture(image) => Claim::RefusedOr(self.names(&[png(&image)])),
            Decoded::Refused => Claim::Refused,
            Decoded::Large => Claim::Finite,
        }
    }
}

/// The mutant of a number.
pub fn mutant(number: u64, sources: &[Source], twins: &mut Twins) -> Mutant {
    let dice = &mut Dice::new("pictures", number);
    let source = dice.pick(sources);
    let (kind, extension, bytes, claim) = match source.is_stack() {
        true => stack(source, twins, dice),
        false => picture(source, sources, twins, dice),
    };
    Mutant {
        number,
        kind,
        name: format!("{number:04}-{kind}.{extension}").replace(' ', "-"),
        bytes,
        claim,
    }
}

type Made = (&'static str, String, Vec<u8>, Claim);

fn picture(source: &Source, sources: &[Source], twins: &mut Twins, dice: &mut Dice) -> Made {
    let own = source.extension().to_owned();
    let mut bytes = source.bytes.clone();
    match dice.below(100) {
        0..20 => {
            bytes.truncate(dice.below(source.needed));
            ("cut", own, bytes, Claim::Refused)
        }
        20..40 => {
            bytes::flip(&mut bytes, 8, dice);
            altered("flipped", source, bytes, twins)
        }
        40..48 => {
            bytes::take_out(&mut bytes, dice);
            altered("taken out", source, bytes, twins)
        }
        48..56 => {
            bytes::put_in(&mut bytes, dice);
            altered("put in", source, bytes, twins)
        }
        56..64 => {
            let n = 1 + dice.below(3000);
            bytes.extend(dice.bytes(n));
            ("behind", own, bytes, Claim::Exactly(twins.names(&source.images)))
        }
        64..71 => match headers::noted(source.extension(), &source.bytes, dice) {
            Some(bytes) => ("noted", own, bytes, Claim::Exactly(twins.names(&source.images))),
            None => ("whole", own, bytes, Claim::Exactly(twins.names(&source.images))),
        },
        71..87 => sized(source, twins, dice),
        87..92 => {
            let names = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "ppm"];
            let other = (*dice.pick(&names)).to_owned();
            ("renamed", other, bytes, Claim::Exactly(twins.names(&source.images)))
        }
        92..97 => {
            let pictures: Vec<&Source> = sources.iter().filter(|s| !s.is_stack()).collect();
            let other = &dice.pick(&pictures).bytes;
            bytes.truncate(dice.below(source.bytes.len()));
            bytes.extend(&other[dice.below(other.len())..]);
            altered("spliced", source, bytes, twins)
        }
        _ => {
            let n = dice.below(400);
            let mut noise = dice.bytes(n);
            noise.splice(0..0, bytes[..8 * dice.below(2)].to_vec());
            altered("noise", source, noise, twins)
        }
    }
}

/// PNG keeps checksums: a changed one is refused, or what changed is not its pixels.
fn altered(kind: &'static str, source: &Source, bytes: Vec<u8>, twins: &mut Twins) -> Made {
    let claim = match twins.decoded(&bytes) {
        Claim::RefusedOr(_) if source.extension() == "png" && bytes.starts_with(&source.bytes[..8]) => {
            Claim::RefusedOr(twins.names(&source.images))
        }
        claim => claim,
    };
    (kind, source.extension().to_owned(), bytes, claim)
}

fn sized(source: &Source, twins: &mut Twins, dice: &mut Dice) -> Made {
    let own = source.extension().to_owned();
    let nearby = [1 + dice.below(80) as u32, 1 + dice.below(80) as u32];
    let (kind, [w, h], is_impossible) = match dice.below(4) {
        0 => ("zero size", *dice.pick(&[[0, 0], [0, 20], [20, 0]]), true),
        1 | 2 => (
            "huge size",
            *dice.pick(&[[60_000; 2], [65_535; 2], [u32::MAX; 2]]),
            true,
        ),
        _ => ("other size", nearby, false),
    };
    match headers::resized(source.extension(), &source.bytes, w, h) {
        Some(bytes) if is_impossible => (kind, own, bytes, Claim::Refused),
        Some(bytes) => {
            let claim = twins.decoded(&bytes);
            (kind, own, bytes, claim)
        }
        None => (
            "whole",
            own,
            source.bytes.clone(),
            Claim::Exactly(twins.names(&source.images)),
        ),
    }
}

fn stack(source: &Source, twins: &mut Twins, dice: &mut Dice) -> Made {
    let own = source.extension().to_owned();
    let is_read = !source.images.is_empty();
    let mut bytes = source.bytes.clone();
    let head = if own == "idx" { 16 } else { 128 };
    let (kind, extension, bytes) = match dice.below(100) {
        0..25 => {
            bytes.truncate(dice.below(source.needed));
            return ("stack cut", own, bytes, Claim::Refused);
        }
        25..35 => {
            let n = 1 + dice.below(300);
            bytes.extend(dice.bytes(n));
            return ("stack too long", own, bytes, Claim::Refused);
        }
        35..50 => return stack_sized(source, dice),
        50..65 => {
            bytes::flip(&mut bytes[head..], 8, dice);
            let channels = if source.name == "colour.npy" { 3 } else { 1 };
            let claim = match is_read {
                true => Claim::Exactly(twins.names(&single(&bytes[head..], channels))),
                false => Claim::Refused,
            };
            return ("stack pixels", own, bytes, claim);
        }
        65..90 => {
            // One byte of the head: no other stack of the same length is as near.
            bytes::flip(&mut bytes[..head], 1, dice);
            ("stack head", own, bytes)
        }
        _ => (
            "stack renamed",
            (*dice.pick(&["png", "jpg", "dat", "npy", "idx"])).to_owned(),
            bytes,
        ),
    };
    let claim = match (is_read, kind) {
        (false, _) => Claim::Refused,
        (true, "stack renamed") => Claim::Exactly(twins.names(&source.images)),
        (true, _) => Claim::RefusedOr(twins.names(&source.images)),
    };
    (kind, extension, bytes, claim)
}

/// Other sizes than the content has, or none at all with no content.
fn stack_sized(source: &Source, dice: &mut Dice) -> Made {
    let huge = *dice.pick(&[7, 4_000_000, u32::MAX]);
    let (sizes, is_empty) = match dice.below(4) {
        0 => ([0, 8, 8], true),
        1 => ([6, 0, 8], true),
        2 => ([huge, 8, 8], false),
        _ => ([huge, huge, huge], false),
    };
    let own = source.extension().to_owned();
    let head = if own == "idx" { 16 } else { 128 };
    let content = if is_empty { &[] } else { &source.bytes[head..] };
    let start = match own.as_str() {
        "idx" => [vec![0, 0, 8, 3], sizes.iter().flat_map(|s| s.to_be_bytes()).collect()].concat(),
        _ => super::sources::npy_head("|u1", "False", &sizes.map(|s| s.to_string()).join(", ")),
    };
    ("stack size", own, [&start, content].concat(), Claim::Refused)
}

//! Splits that hold out what they say, and batches that cover an epoch and resume bit for bit.

use std::collections::BTreeSet;

use ebm::data::Dataset;
use ebm::data::{self, Batches, BatchesState, SplitRecord};
use ebm::rng::Stream;
use tch::Device;

use crate::files::*;

const CPU: Device = Device::Cpu;

/// A hundred images of which image i is 2x2 pixels of the level i.
fn hundred(dir: &std::path::Path) -> std::path::PathBuf {
    let content: Vec<u8> = (0..100).flat_map(|i| [i; 4]).collect();
    write(dir.join("hundred"), idx_bytes(&[100, 2, 2], &content))
}

fn which(images: &data::Images) -> Vec<u8> {
    bytes(&images.pixels).into_iter().step_by(4).collect()
}

#[test]
fn split_is_seeded_disjoint_and_complete() {
    let dir = tempfile::tempdir().unwrap();
    let open = |seed| {
        let mut cfg = idx(&hundred(dir.path()), None);
        (cfg.validation, cfg.split_seed) = (20, seed);
        data::open(&cfg, [1, 2, 2], CPU).unwrap()
    };
    let (a, b, c) = (open(0), open(0), open(1));
    assert_eq!((a.train.len(), a.validation.len(), a.test.len()), (70, 20, 10));
    let parts = [which(&a.train), which(&a.validation), which(&a.test)].concat();
    assert_eq!(parts.into_iter().collect::<BTreeSet<_>>().len(), 100);
    assert_eq!(which(&a.validation), which(&b.validation));
    assert_ne!(which(&a.validation), which(&c.validation));
    assert_ne!(which(&a.test), which(&c.test));
    assert_eq!(a.record, b.record);
    assert_ne!(a.record.validation_sha256, c.record.validation_sha256);
    assert_ne!(a.record.test_sha256, c.record.test_sha256);
    let text = serde_json::to_string(&a.record).unwrap();
    assert_eq!(serde_json::from_str::<SplitRecord>(&text).unwrap(), a.record);
}

#[test]
fn the_limit_comes_before_the_split_and_leaves_given_test_images_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut cfg = with_itself_as_test(idx(&hundred(dir.path()), None));
    (cfg.limit, cfg.validation) = (Some(30), 10);
    let set = data::open(&cfg, [1, 2, 2], CPU).unwrap();
    assert_eq!((set.train.len(), set.validation.len(), set.test.len()), (20, 10, 100));
    let mut used = [which(&set.train), which(&set.validation)].concat();
    used.sort_unstable();
    used.dedup();
    assert!(used.len() == 30 && used[29] >= 30, "drawn, not the first: {used:?}");
    assert!(set.record.test_sha256.is_none());
    cfg.validation = 30;
    let e = data::open(&cfg, [1, 2, 2], CPU).unwrap_err();
    assert!(e.is_input() && e.to_string().starts_with("data.validation"), "{e}");
}

#[test]
fn a_drawn_set_records_no_files() {
    let cfg = config(serde_json::from_str::<Dataset>(r#"{"strokes": {"count": 20}}"#).unwrap());
    let record = data::open(&cfg, [1, 16, 16], CPU).unwrap().record;
    assert!(record.sources.is_empty());
    assert_eq!((record.train, record.classes.len()), (20, 2));
}

fn batches(images: i64, size: i64, seed: u64) -> Batches {
    Batches::new(images, size, Stream::new(seed, "data"), CPU).unwrap()
}

#[test]
fn an_epoch_holds_every_image_once_and_the_rest_is_carried_over() {
    let _turn = drawing();
    let mut b = batches(10, 4, 1);
    let drawn: Vec<i64> = (0..15).flat_map(|_| numbers(&b.next_indices())).collect();
    assert_eq!(drawn.len(), 60);
    let epochs: Vec<&[i64]> = drawn.chunks(10).collect();
    for epoch in &epochs {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<i64>>());
    }
    // Two of 10! orders alike would be chance of one in 3.6 million a pair.
    assert_eq!(epochs.iter().collect::<BTreeSet<_>>().len(), 6);
    assert_eq!(b.epoch(), 5);
}

#[test]
fn a_batch_may_be_larger_than_the_set() {
    let _turn = drawing();
    let mut drawn = numbers(&batches(3, 7, 1).next_indices());
    drawn[..6].sort_unstable();
    assert_eq!(drawn[..6], [0, 0, 1, 1, 2, 2]);
}

#[test]
fn batches_resume_bit_for_bit_from_any_position() {
    let _turn = drawing();
    for stop in 0..8 {
        let mut whole = batches(10, 4, 7);
        (0..stop).for_each(|_| drop(whole.next_indices()));
        let text = serde_json::to_string(&whole.state()).unwrap();
        let state: BatchesState = serde_json::from_str(&text).unwrap();
        let mut resumed = batches(10, 4, 999);
        resumed.restore(&state).unwrap();
        for _ in 0..6 {
            assert_eq!(
                numbers(&whole.next_indices()),
                numbers(&resumed.next_indices()),
                "stopped after {stop}"
            );
        }
    }
    let other = batches(10, 4, 8).next_indices();
    assert_ne!(numbers(&batches(10, 4, 7).next_indices()), numbers(&other));
}

#[test]
fn a_state_of_another_set_is_refused() {
    let _turn = drawing();
    let state = batches(10, 4, 7).state();
    let e = batches(11, 4, 7).restore(&state).unwrap_err();
    assert!(
        e.is_input() && e.to_string().contains("10 images, the set has 11"),
        "{e}"
    );
    assert!(Batches::new(0, 4, Stream::new(0, "data"), CPU).is_err());
}

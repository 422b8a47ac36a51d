//! The buffer's draws by class: each class keeps its own slots and has as many chains as any other.

use std::collections::BTreeSet;

use ebm::buffer::{Drawn, ReplayBuffer};
use ebm::config::{BufferConfig, Replacement, Storage};
use ebm::rng::Stream;
use tch::{Device, Kind, Tensor};

const CLASSES: i64 = 3;
const SLOTS: i64 = 32;
const PER_CLASS: i64 = SLOTS / CLASSES;

/// One pixel a chain that carries the number of its slot.
fn buffer(reinit_prob: f64, rng: &mut Stream) -> ReplayBuffer {
    let cfg = BufferConfig {
        size: SLOTS as usize,
        reinit_prob,
        storage: Storage::F32,
        replacement: Replacement::InPlace,
        ..BufferConfig::default()
    };
    let numbers = Tensor::arange(SLOTS, (Kind::Float, Device::Cpu)).view([-1, 1, 1, 1]);
    ReplayBuffer::new(&cfg, numbers, rng)
}

fn integers(t: &Tensor) -> Vec<i64> {
    Vec::try_from(t.to_kind(Kind::Int64).flatten(0, -1)).unwrap()
}

/// Fresh chains carry 1000 plus the class that they were asked for.
fn fresh(classes: &Tensor, _: &mut Stream) -> ebm::Result<Tensor> {
    Ok((classes + 1000).to_kind(Kind::Float).view([-1, 1, 1, 1]))
}

fn draw(buffer: &ReplayBuffer, n: i64, rng: &mut Stream) -> (Drawn, Vec<i64>, Vec<i64>) {
    let drawn = buffer.draw_by_class(n, CLASSES, fresh, rng).unwrap();
    let (slots, classes) = (integers(&drawn.origin.slots), integers(drawn.classes.as_ref().unwrap()));
    (drawn, slots, classes)
}

#[test]
fn slots_are_distinct_of_their_class_and_balanced() {
    let mut rng = Stream::new(3, "by class");
    let buffer = buffer(0.0, &mut rng);
    let mut counts = vec![0u32; SLOTS as usize];
    let mut extra = [0u32; CLASSES as usize];
    let draws = 3000;
    for _ in 0..draws {
        let (drawn, slots, classes) = draw(&buffer, 10, &mut rng);
        assert_eq!(slots.iter().collect::<BTreeSet<_>>().len(), 10, "{slots:?}");
        assert_eq!(integers(&drawn.x), slots, "a chain comes from its slot");
        for (slot, class) in slots.iter().zip(&classes) {
            assert_eq!(slot / PER_CLASS, *class, "slot {slot}");
            counts[*slot as usize] += 1;
        }
        for class in 0..CLASSES {
            let n = classes.iter().filter(|c| **c == class).count();
            assert!((3..=4).contains(&n), "class {class} has {n} of 10");
            extra[class as usize] += u32::from(n == 4);
        }
    }
    // A slot of the thirty in use is drawn with probability 1/3; the other two never.
    let (p, n) = (1.0 / 3.0, f64::from(draws));
    for (slot, count) in counts.iter().enumerate() {
        let expected = if (slot as i64) < CLASSES * PER_CLASS { p } else { 0.0 };
        let off = (f64::from(*count) / n - expected).abs();
        assert!(off <= 5.0 * (p * (1.0 - p) / n).sqrt(), "slot {slot}: {count}");
    }
    for (class, count) in extra.iter().enumerate() {
        let off = (f64::from(*count) / n - p).abs();
        assert!(
            off <= 5.0 * (p * (1.0 - p) / n).sqrt(),
            "class {class} had one more {count} times"
        );
    }
}

#[test]
fn the_order_of_a_draw_tells_nothing_of_classes() {
    let mut rng = Stream::new(4, "by class");
    let buffer = buffer(0.0, &mut rng);
    // Fresh chains are the last of a batch, so the last place must have every class alike.
    let mut last = [0u32; CLASSES as usize];
    for _ in 0..3000 {
        last[*draw(&buffer, 10, &mut rng).2.last().unwrap() as usize] += 1;
    }
    let bound = 5.0 * (1000.0f64 * 2.0 / 3.0).sqrt();
    assert!(last.iter().all(|n| (f64::from(*n) - 1000.0).abs() < bound), "{last:?}");
}

#[test]
fn fresh_chains_are_of_the_class_of_their_slot_and_all_go_back_into_it() {
    let mut rng = Stream::new(5, "by class");
    let mut buffer = buffer(0.5, &mut rng);
    let mut seen = 0;
    for _ in 0..50 {
        let (drawn, slots, classes) = draw(&buffer, 12, &mut rng);
        let values = integers(&drawn.x);
        let kept = 12 - drawn.origin.fresh as usize;
        seen += drawn.origin.fresh;
        for i in 0..12 {
            let expected = if i < kept { slots[i] } else { 1000 + classes[i] };
            assert_eq!(values[i] % 2000, expected);
        }
        // What goes back carries its slot's number again.
        let x = drawn.origin.slots.to_kind(Kind::Float).view([-1, 1, 1, 1]);
        buffer.put(&drawn.origin, &x, 5, &mut rng);
    }
    assert!((200..400).contains(&seen), "{seen} of 600 started afresh");
    let all = integers(&buffer.state()[0].1);
    assert_eq!(all, (0..SLOTS).collect::<Vec<_>>());
    assert!(buffer.age_by_class(CLASSES).min().double_value(&[]) > 0.0);
}

#[test]
fn a_look_by_class_gives_class_after_class() {
    let mut rng = Stream::new(6, "by class");
    let found = integers(&buffer(0.0, &mut rng).peek_by_class(4, CLASSES, &mut rng));
    let classes: Vec<i64> = found.iter().map(|slot| slot / PER_CLASS).collect();
    assert_eq!(classes, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), 12);
    let of_slots = integers(&ReplayBuffer::classes_of_slots(SLOTS, CLASSES, Device::Cpu));
    assert!(
        of_slots
            .iter()
            .enumerate()
            .all(|(s, c)| *c == (s as i64 / PER_CLASS).min(CLASSES - 1))
    );
}

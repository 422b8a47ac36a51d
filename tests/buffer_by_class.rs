//! The buffer's draws by class: each class keeps its own slots and has its share of the chains.

use std::collections::BTreeSet;

use ebm::data::ClassShares;
use ebm::rng::Stream;
use ebm::sampling::replay::{BufferConfig, Replacement, Storage};
use ebm::sampling::replay::{Drawn, ReplayBuffer};
use tch::{Device, Kind, Tensor};

/// Images of each class: shares of 1/2, 1/8 and 3/8.
const COUNTS: [i64; 3] = [20, 5, 15];
const SLOTS: [i64; 3] = [16, 4, 12];

fn shares() -> ClassShares {
    ClassShares::new(COUNTS.into())
}

fn class_of(slot: i64) -> i64 {
    i64::from(slot >= SLOTS[0]) + i64::from(slot >= SLOTS[0] + SLOTS[1])
}

fn size() -> i64 {
    SLOTS.iter().sum()
}

/// One pixel a chain that carries the number of its slot.
fn buffer(reinit_prob: f64, rng: &mut Stream) -> ReplayBuffer {
    let cfg = BufferConfig {
        size: size() as usize,
        reinit_prob,
        storage: Storage::F32,
        replacement: Replacement::InPlace,
        ..BufferConfig::default()
    };
    let numbers = Tensor::arange(size(), (Kind::Float, Device::Cpu)).view([-1, 1, 1, 1]);
    let classes: Vec<i64> = (0..size()).map(class_of).collect();
    let made = ReplayBuffer::new(&cfg, numbers, rng).by_class(Tensor::from_slice(&classes), 3);
    made.unwrap()
}

fn integers(t: &Tensor) -> Vec<i64> {
    Vec::try_from(t.to_kind(Kind::Int64).flatten(0, -1)).unwrap()
}

/// Fresh chains carry 1000 plus the class that they were asked for.
fn fresh(classes: &Tensor, _: &mut Stream) -> ebm::Result<Tensor> {
    Ok((classes + 1000).to_kind(Kind::Float).view([-1, 1, 1, 1]))
}

fn draw(buffer: &ReplayBuffer, n: i64, rng: &mut Stream) -> (Drawn, Vec<i64>, Vec<i64>) {
    let drawn = buffer.draw_by_class(n, &shares(), fresh, rng).unwrap();
    let (slots, classes) = (integers(&drawn.origin.slots), integers(drawn.classes.as_ref().unwrap()));
    (drawn, slots, classes)
}

/// Whether `count` of `n` tries is within five standard errors of the probability `p`.
fn fits(count: u32, n: u32, p: f64) -> bool {
    let n = f64::from(n);
    (f64::from(count) / n - p).abs() <= 5.0 * (p * (1.0 - p) / n).sqrt()
}

#[test]
fn slots_and_draws_have_the_shares_of_the_labels() {
    let mut rng = Stream::new(3, "by class");
    assert_eq!(shares().slots(size(), 10).unwrap(), SLOTS);
    let buffer = buffer(0.0, &mut rng);
    let (mut counts, mut ups) = (vec![0u32; size() as usize], [0u32; 3]);
    let draws = 4000;
    for _ in 0..draws {
        let (drawn, slots, classes) = draw(&buffer, 10, &mut rng);
        assert_eq!(slots.iter().collect::<BTreeSet<_>>().len(), 10, "{slots:?}");
        assert_eq!(integers(&drawn.x), slots, "a chain comes from its slot");
        for (slot, class) in slots.iter().zip(&classes) {
            assert_eq!(class_of(*slot), *class, "slot {slot}");
            counts[*slot as usize] += 1;
        }
        // Of ten chains 5, 1.25 and 3.75 are asked for.
        let of_class = |class| classes.iter().filter(|c| **c == class).count();
        assert_eq!(of_class(0), 5);
        assert!((1..=2).contains(&of_class(1)) && (3..=4).contains(&of_class(2)));
        ups[1] += u32::from(of_class(1) == 2);
        ups[2] += u32::from(of_class(2) == 4);
    }
    assert!(fits(ups[1], draws, 0.25) && fits(ups[2], draws, 0.75), "{ups:?}");
    // 5 of 16, 1.25 of 4 and 3.75 of 12: every slot is as likely as any other.
    for (slot, count) in counts.iter().enumerate() {
        assert!(fits(*count, draws, 5.0 / 16.0), "slot {slot}: {count}");
    }
}

#[test]
fn a_class_never_has_fewer_slots_than_chains_in_a_draw_and_an_absent_one_has_none() {
    let shares = ClassShares::new(vec![97, 0, 2, 1]);
    assert_eq!(shares.absent(), [1]);
    let slots = shares.slots(20, 16).unwrap();
    assert_eq!((slots.iter().sum::<i64>(), slots[1]), (20, 0));
    assert!(slots[0] >= 16 && slots[2] >= 1 && slots[3] >= 1, "{slots:?}");
    let refused = shares.slots(17, 16).unwrap_err().to_string();
    assert!(
        refused.contains("buffer.size") && refused.contains("give at least 18"),
        "{refused}"
    );
    let mut rng = Stream::new(9, "absent");
    for _ in 0..200 {
        let drawn = shares.draw(16, &mut rng);
        assert!(drawn.len() == 16 && !drawn.contains(&1), "{drawn:?}");
    }
}

#[test]
fn the_order_of_a_draw_tells_nothing_of_classes() {
    let mut rng = Stream::new(4, "by class");
    let buffer = buffer(0.0, &mut rng);
    // Fresh chains are the last of a batch, so the last place has the shares of the whole.
    let mut last = [0u32; 3];
    for _ in 0..4000 {
        last[*draw(&buffer, 10, &mut rng).2.last().unwrap() as usize] += 1;
    }
    let expected = COUNTS.map(|n| n as f64 / 40.0);
    assert!((0..3).all(|class| fits(last[class], 4000, expected[class])), "{last:?}");
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
    assert_eq!(all, (0..size()).collect::<Vec<_>>());
    assert!(buffer.age_by_class().min().double_value(&[]) > 0.0);
}

#[test]
fn a_look_by_class_gives_the_classes_asked_for_in_their_order() {
    let mut rng = Stream::new(6, "by class");
    let buffer = buffer(0.0, &mut rng);
    let asked = [2, 0, 0, 1, 2, 1, 1, 1];
    let found = integers(&buffer.peek_of_classes(&asked, &mut rng).unwrap());
    let classes: Vec<i64> = found.iter().map(|slot| class_of(*slot)).collect();
    assert_eq!(classes, asked);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), asked.len());
    let refused = buffer.peek_of_classes(&[1; 5], &mut rng).unwrap_err().to_string();
    assert!(refused.contains("holds 4 chains of class 1, and 5"), "{refused}");
    assert_eq!(
        integers(&ReplayBuffer::even_classes(7, 3, Device::Cpu)),
        [0, 0, 1, 1, 2, 2, 2]
    );
}

#[test]
fn classes_of_slots_are_saved_and_a_buffer_of_an_earlier_version_has_even_ones() {
    let mut rng = Stream::new(7, "by class");
    let mut saved: ebm::files::Named = buffer(0.0, &mut rng).state().into_iter().collect();
    let mut other = buffer(0.0, &mut rng);
    let even = ReplayBuffer::even_classes(size(), 3, Device::Cpu);
    other = other.by_class(even, 3).unwrap();
    other.load_state(&saved, "saved").unwrap();
    assert_eq!(other.slots_by_class(), [16, 4, 12]);
    saved.remove("classes");
    other.load_state(&saved, "saved").unwrap();
    assert_eq!(other.slots_by_class(), [10, 10, 12]);
}

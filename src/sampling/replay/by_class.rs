//! A buffer whose slots keep to classes: draws in the shares of the labels, and looks at the chains
//! of classes.

use rand::seq::{SliceRandom, index};
use tch::{Device, Kind, Tensor};

use super::buffer::{Drawn, ReplayBuffer};
use super::slots::SlotClasses;
use super::storage::from_storage;
use crate::data::ClassShares;
use crate::error::{Error, Result};
use crate::rng::Stream;

impl ReplayBuffer {
    /// The same buffer with a class for each slot: `of_slot`, `[S]`, i64, below `classes`.
    ///
    /// # Errors
    /// A class outside of these.
    pub fn by_class(mut self, of_slot: Tensor, classes: i64) -> Result<Self> {
        assert_eq!(of_slot.size(), [self.len()], "a slot has a class");
        self.classes = Some(SlotClasses::new(of_slot.to_device(self.device()), classes as usize)?);
        Ok(self)
    }

    /// Draws `n` chains from distinct slots, their classes in the shares of the labels
    /// ([`ClassShares::draw`]); the slots of a class are as likely as each other, and chains that
    /// start afresh start from what `fresh` gives for their classes, `[m]`, i64.
    ///
    /// # Errors
    /// A class has fewer slots than chains to draw; those of `fresh`.
    ///
    /// # Panics
    /// If slots have no classes.
    pub fn draw_by_class(
        &self,
        n: i64,
        shares: &ClassShares,
        fresh: impl FnOnce(&Tensor, &mut Stream) -> Result<Tensor>,
        rng: &mut Stream,
    ) -> Result<Drawn> {
        let classes = shares.draw(n, rng);
        let slots = self.slots_of(&classes, rng)?;
        // Without blocking, as in `put`.
        let to_device = |v: &[i64]| Tensor::from_slice(v).to_device_(self.device(), Kind::Int64, true, false);
        let (slots, classes) = (to_device(&slots), to_device(&classes));
        let afresh = self.count_afresh(n, rng);
        let of_fresh = classes.narrow(0, n - afresh, afresh);
        self.take(slots, afresh, Some(classes), |rng| fresh(&of_fresh, rng), rng)
    }

    /// A slot for each of some classes, no slot twice.
    fn slots_of(&self, classes: &[i64], rng: &mut Stream) -> Result<Vec<i64>> {
        let mut wanted = vec![0; self.of_classes().len()];
        classes.iter().for_each(|class| wanted[*class as usize] += 1);
        let mut host = rng.host();
        let mut choose = |(class, (own, n)): (usize, (&Vec<i64>, usize))| {
            if n > own.len() {
                return Err(too_few_slots(class, own.len(), n));
            }
            let mut at: Vec<i64> = index::sample(&mut host, own.len(), n).iter().map(|i| own[i]).collect();
            at.shuffle(&mut host);
            Ok(at)
        };
        let asked = self.of_classes().iter().zip(wanted).enumerate();
        let mut chosen = asked.map(&mut choose).collect::<Result<Vec<_>>>()?;
        let next = |class: &i64| chosen[*class as usize].pop().expect("as many slots as chains");
        Ok(classes.iter().map(next).collect())
    }

    /// The slots of each class.
    fn of_classes(&self) -> &[Vec<i64>] {
        let classes = self.classes.as_ref();
        &classes.expect("a buffer whose slots have classes").slots
    }

    /// How many slots each class has; empty where slots have no classes.
    pub fn slots_by_class(&self) -> Vec<usize> {
        let classes = self.classes.iter().flat_map(|c| &c.slots);
        classes.map(Vec::len).collect()
    }

    /// Different chains at random of the classes asked for, `[n,C,H,W]`, f32, one for each entry of
    /// `classes`, in this order.
    ///
    /// # Errors
    /// A class has fewer chains than are asked for.
    ///
    /// # Panics
    /// If slots have no classes.
    pub fn peek_of_classes(&self, classes: &[i64], rng: &mut Stream) -> Result<Tensor> {
        let slots = Tensor::from_slice(&self.slots_of(classes, rng)?).to_device(self.device());
        Ok(from_storage(&self.chains.index_select(0, &slots)))
    }

    /// The mean age of the chains of each class that has any, f32, on the device.
    ///
    /// # Panics
    /// If slots have no classes.
    pub fn age_by_class(&self) -> Tensor {
        let mean = |slots: &Vec<i64>| {
            let slots = Tensor::from_slice(slots).to_device(self.device());
            self.age.index_select(0, &slots).mean(Kind::Float)
        };
        let of_classes = self.of_classes().iter().filter(|slots| !slots.is_empty());
        Tensor::stack(&of_classes.map(mean).collect::<Vec<_>>(), 0)
    }

    /// `len` classes, `[len]`, i64: class after class, each as often as any other; the last one
    /// takes what does not divide evenly.
    pub fn even_classes(len: i64, classes: i64, device: Device) -> Tensor {
        let numbers = Tensor::arange(len, (Kind::Int64, device));
        let each = (len / classes).max(1);
        numbers.floor_divide_scalar(each).clamp_max(classes - 1)
    }

    /// Takes over saved classes of slots, where slots have classes; without them they are even.
    pub(super) fn load_classes(&mut self, saved: Option<&Tensor>) -> Result<()> {
        let Some(count) = self.classes.as_ref().map(|c| c.slots.len()) else {
            return Ok(());
        };
        let of_slot = match saved {
            Some(saved) => saved.to_device(self.device()),
            None => Self::even_classes(self.len(), count as i64, self.device()),
        };
        self.classes = Some(SlotClasses::new(of_slot, count)?);
        Ok(())
    }
}

fn too_few_slots(class: usize, slots: usize, wanted: usize) -> Error {
    Error::input(
        "the replay buffer",
        format!("holds {slots} chains of class {class}, and {wanted} are asked for at once"),
        "ask for fewer; a run needs a larger buffer.size",
    )
}

//! The class that each slot of a buffer keeps to.

use tch::{Device, Tensor};

use crate::error::{Error, Result};

/// The class that each slot keeps to.
#[derive(Debug)]
pub(super) struct SlotClasses {
    /// `[S]`, i64.
    of_slot: Tensor,
    /// The slots of each class, on the host.
    pub slots: Vec<Vec<i64>>,
}

impl SlotClasses {
    /// The class of each slot, `[S]`, i64; the very memory.
    pub fn of_slots(&self) -> Tensor {
        self.of_slot.shallow_clone()
    }

    /// Of the classes `[S]`, i64, of the slots, below `classes`.
    pub fn new(of_slot: Tensor, classes: usize) -> Result<Self> {
        let mut slots = vec![Vec::new(); classes];
        let on_host = Vec::<i64>::try_from(of_slot.to_device(Device::Cpu))?;
        for (slot, class) in (0..).zip(on_host) {
            let own = slots.get_mut(class as usize);
            own.ok_or_else(|| wrong_classes(class, classes))?.push(slot);
        }
        Ok(Self { of_slot, slots })
    }
}

fn wrong_classes(class: i64, classes: usize) -> Error {
    Error::input(
        "the replay buffer",
        format!("a slot is of class {class}, and there are {classes}"),
        "use a checkpoint of this run",
    )
}

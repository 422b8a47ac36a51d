//! The replay buffer: chains that persist from one training step to the next, on the device.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::{SliceRandom, index};
use tch::{Device, Kind, Tensor};

use crate::config::{BufferConfig, Replacement, Storage};
use crate::data::{self, ClassShares};
use crate::error::{Error, Result};
use crate::files::{self, Named};
use crate::rng::Stream;

/// The name of the slots' classes in a checkpoint.
const CLASSES: &str = "classes";

/// Chains kept on the device (Tieleman 2008), some of which start afresh when they are drawn (Du & Mordatch 2019).
///
/// Neither drawing nor storing reads anything back from the device.
#[derive(Debug)]
pub struct ReplayBuffer {
    cfg: BufferConfig,
    /// `[S,C,H,W]`, f32, or u8 for 256 levels of [-1, 1].
    chains: Tensor,
    /// Steps of each chain since it started, `[S]`, i64.
    age: Tensor,
    /// How often each chain was drawn since it started, `[S]`, i64.
    reuse: Tensor,
    /// Chains stored so far; what reservoir sampling counts.
    stored: i64,
    /// The classes of slots, where each slot keeps to one.
    classes: Option<SlotClasses>,
}

/// The class that each slot keeps to.
#[derive(Debug)]
struct SlotClasses {
    /// `[S]`, i64.
    of_slot: Tensor,
    /// The slots of each class, on the host.
    slots: Vec<Vec<i64>>,
}

impl SlotClasses {
    /// Of the classes `[S]`, i64, of the slots, below `classes`.
    fn new(of_slot: Tensor, classes: usize) -> Result<Self> {
        let mut slots = vec![Vec::new(); classes];
        let on_host = Vec::<i64>::try_from(of_slot.to_device(Device::Cpu))?;
        for (slot, class) in (0..).zip(on_host) {
            let own = slots.get_mut(class as usize);
            own.ok_or_else(|| wrong_classes(class, classes))?.push(slot);
        }
        Ok(Self { of_slot, slots })
    }
}

/// Chains to run.
#[derive(Debug)]
pub struct Drawn {
    /// Where they are, `[n,C,H,W]`, f32; memory of its own.
    pub x: Tensor,
    /// The class that each has and keeps, `[n]`, i64, where they were drawn by class.
    pub classes: Option<Tensor>,
    /// What [`ReplayBuffer::put`] needs to take them back.
    pub origin: Origin,
}

/// Where drawn chains came from and what they have behind them.
#[derive(Debug)]
pub struct Origin {
    /// Their slots, `[n]`, i64, each one different.
    pub slots: Tensor,
    /// How many start afresh: the last ones of the batch.
    pub fresh: i64,
    /// Steps since they started, `[n]`, i64; 0 for fresh ones.
    pub age: Tensor,
    /// How often they were drawn since they started, this time included, `[n]`, i64; 0 for fresh ones.
    pub reuse: Tensor,
}

/// Means and maxima over all slots, `[]` each, f32, on the device.
#[derive(Debug)]
pub struct BufferStats {
    /// Mean number of steps since a chain started.
    pub mean_age: Tensor,
    /// Steps of the oldest chain.
    pub max_age: Tensor,
    /// Mean number of times that a chain was drawn since it started.
    pub mean_reuse: Tensor,
    /// Draws of the chain that was drawn most.
    pub max_reuse: Tensor,
}

impl ReplayBuffer {
    /// A buffer that holds the starting points `initial`, `[S,C,H,W]`, f32, one a slot.
    ///
    /// # Panics
    /// If there are not `cfg.size` of them.
    pub fn new(cfg: &BufferConfig, initial: Tensor, rng: &mut Stream) -> Self {
        let size = cfg.size as i64;
        assert_eq!(initial.size()[0], size, "a buffer starts with a chain in every slot");
        let counts = || Tensor::zeros(size, (Kind::Int64, initial.device()));
        let (age, reuse) = (counts(), counts());
        let chains = match cfg.storage {
            Storage::F32 => initial.detach().copy(),
            Storage::U8 => to_levels(&initial, rng),
        };
        Self {
            cfg: cfg.clone(),
            chains,
            age,
            reuse,
            stored: 0,
            classes: None,
        }
    }

    /// The same buffer with a class for each slot: `of_slot`, `[S]`, i64, below `classes`.
    ///
    /// # Errors
    /// A class outside of these.
    pub fn by_class(mut self, of_slot: Tensor, classes: i64) -> Result<Self> {
        assert_eq!(of_slot.size(), [self.len()], "a slot has a class");
        self.classes = Some(SlotClasses::new(of_slot.to_device(self.device()), classes as usize)?);
        Ok(self)
    }

    /// How many chains it holds.
    pub fn len(&self) -> i64 {
        self.chains.size()[0]
    }

    /// Whether it holds none; a checked configuration never makes one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Draws `n` chains from distinct slots; each starts afresh with probability `reinit_prob`, from what `fresh`
    /// gives when it is asked for so many; the others are changed at random first, where the configuration says so.
    ///
    /// Slots come in random order, so the fresh ones can stand at the end of the batch.
    ///
    /// # Errors
    /// Those of `fresh`.
    ///
    /// # Panics
    /// If `n` is more than there are slots.
    pub fn draw(
        &self,
        n: i64,
        fresh: impl FnOnce(i64, &mut Stream) -> Result<Tensor>,
        rng: &mut Stream,
    ) -> Result<Drawn> {
        assert!(n <= self.len(), "a draw of {n} from {} slots", self.len());
        let slots = rng.permutation(self.len(), self.device()).narrow(0, 0, n).copy();
        let afresh = self.count_afresh(n, rng);
        self.take(slots, afresh, None, |rng| fresh(afresh, rng), rng)
    }

    /// Draws `n` chains from distinct slots, their classes in the shares of the labels
    /// ([`ClassShares::draw`]); the slots of a class are as likely as each other, and chains that start
    /// afresh start from what `fresh` gives for their classes, `[m]`, i64.
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

    /// How many of `n` chains start afresh.
    fn count_afresh(&self, n: i64, rng: &mut Stream) -> i64 {
        let mut host = rng.host();
        (0..n).filter(|_| host.random_bool(self.cfg.reinit_prob)).count() as i64
    }

    /// The chains of `slots`, the last `afresh` of them started anew.
    fn take(
        &self,
        slots: Tensor,
        afresh: i64,
        classes: Option<Tensor>,
        fresh: impl FnOnce(&mut Stream) -> Result<Tensor>,
        rng: &mut Stream,
    ) -> Result<Drawn> {
        let kept = slots.narrow(0, 0, slots.size()[0] - afresh);
        let mut x = from_storage(&self.chains.index_select(0, &kept));
        if let Some(changes) = &self.cfg.augment {
            x = data::replay_augment(&x, changes, rng);
        }
        if afresh > 0 {
            x = Tensor::cat(&[x, fresh(rng)?.detach()], 0);
        }
        let none = Tensor::zeros(afresh, (Kind::Int64, self.device()));
        let age = Tensor::cat(&[&self.age.index_select(0, &kept), &none], 0);
        let reuse = Tensor::cat(&[self.reuse.index_select(0, &kept) + 1, none], 0);
        let origin = Origin {
            slots,
            fresh: afresh,
            age,
            reuse,
        };
        Ok(Drawn { x, classes, origin })
    }

    /// Takes chains back after `n_steps` more steps: into their own slots, or into random ones, as the configuration
    /// has it.
    pub fn put(&mut self, origin: &Origin, x: &Tensor, n_steps: usize, rng: &mut Stream) {
        let _guard = tch::no_grad_guard();
        let x = match self.cfg.storage {
            Storage::F32 => x.detach(),
            Storage::U8 => to_levels(x, rng),
        };
        let age = &origin.age + n_steps as i64;
        let n = x.size()[0];
        match self.cfg.replacement {
            Replacement::InPlace => self.write(&origin.slots, &x, &age, &origin.reuse),
            Replacement::Reservoir => {
                let (rows, slots) = self.reservoir(n, rng);
                // Without blocking: the numbers are taken along with the copy's launch, and nobody waits for the device.
                let to_device = |v: &[i64]| Tensor::from_slice(v).to_device_(self.device(), Kind::Int64, true, false);
                let (rows, slots) = (to_device(&rows), to_device(&slots));
                let rows_of = |t: &Tensor| t.index_select(0, &rows);
                self.write(&slots, &rows_of(&x), &rows_of(&age), &rows_of(&origin.reuse));
            }
        }
        self.stored += n;
    }

    fn write(&mut self, slots: &Tensor, x: &Tensor, age: &Tensor, reuse: &Tensor) {
        let _ = self.chains.index_copy_(0, slots, x);
        let _ = self.age.index_copy_(0, slots, age);
        let _ = self.reuse.index_copy_(0, slots, reuse);
    }

    /// Which rows of a batch of `n` go into which slots, so that the buffer is at any time a uniform sample of all
    /// chains ever stored (algorithm R, Vitter 1985); until it is full, every chain gets the next slot.
    ///
    /// A row whose slot a later row of the batch takes is left out, as if the later one had overwritten it.
    fn reservoir(&self, n: i64, rng: &mut Stream) -> (Vec<i64>, Vec<i64>) {
        let mut host = rng.host();
        let mut row_of_slot = BTreeMap::new();
        for row in 0..n {
            let before = self.stored + row;
            let slot = if before < self.len() {
                before
            } else {
                host.random_range(0..=before)
            };
            if slot < self.len() {
                row_of_slot.insert(slot, row);
            }
        }
        row_of_slot.into_iter().map(|(slot, row)| (row, slot)).unzip()
    }

    /// How long chains have run and how often they were drawn.
    pub fn stats(&self) -> BufferStats {
        let max = |t: &Tensor| t.max().to_kind(Kind::Float);
        BufferStats {
            mean_age: self.age.mean(Kind::Float),
            max_age: max(&self.age),
            mean_reuse: self.reuse.mean(Kind::Float),
            max_reuse: max(&self.reuse),
        }
    }

    /// All chains in the order of their slots, `[S,C,H,W]`, f32.
    pub fn all(&self) -> Tensor {
        from_storage(&self.chains)
    }

    /// `n` different chains at random, `[n,C,H,W]`, f32, to look at or to start from; the buffer does not change.
    pub fn peek(&self, n: i64, rng: &mut Stream) -> Tensor {
        let slots = rng.permutation(self.len(), self.device());
        let slots = slots.narrow(0, 0, n.min(self.len()));
        from_storage(&self.chains.index_select(0, &slots))
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

    /// `len` classes, `[len]`, i64: class after class, each as often as any other; the last one takes
    /// what does not divide evenly.
    pub fn even_classes(len: i64, classes: i64, device: Device) -> Tensor {
        let numbers = Tensor::arange(len, (Kind::Int64, device));
        let each = (len / classes).max(1);
        numbers.floor_divide_scalar(each).clamp_max(classes - 1)
    }

    /// Everything that a checkpoint needs, by name; the tensors are the buffer's own memory.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let stored = Tensor::from_slice(&[self.stored]);
        let classes = self.classes.as_ref().map(|c| c.of_slot.shallow_clone());
        let named = [
            ("chains", Some(self.chains.shallow_clone())),
            ("age", Some(self.age.shallow_clone())),
            ("reuse", Some(self.reuse.shallow_clone())),
            ("stored", Some(stored)),
            (CLASSES, classes),
        ];
        named.into_iter().filter_map(|(name, t)| Some((name.to_owned(), t?))).collect()
    }

    /// Takes over a saved state; `place` names it in errors.
    ///
    /// Earlier versions saved no classes of slots, and split the slots evenly.
    ///
    /// # Errors
    /// When names, shapes or kinds differ; nothing was copied then.
    pub fn load_state(&mut self, named: &Named, place: &str) -> Result<()> {
        let mut expected = self.state();
        if !named.contains_key(CLASSES) {
            expected.retain(|(name, _)| name != CLASSES);
        }
        files::check_same(&expected, named, place)?;
        let _guard = tch::no_grad_guard();
        if let Some(classes) = &self.classes {
            let count = classes.slots.len();
            let of_slot = match named.get(CLASSES) {
                Some(saved) => saved.to_device(self.device()),
                None => Self::even_classes(self.len(), count as i64, self.device()),
            };
            self.classes = Some(SlotClasses::new(of_slot, count)?);
        }
        self.chains.copy_(&named["chains"]);
        self.age.copy_(&named["age"]);
        self.reuse.copy_(&named["reuse"]);
        self.stored = named["stored"].int64_value(&[0]);
        Ok(())
    }

    fn device(&self) -> Device {
        self.chains.device()
    }
}

fn too_few_slots(class: usize, slots: usize, wanted: usize) -> Error {
    Error::input(
        "the replay buffer",
        format!("holds {slots} chains of class {class}, and {wanted} are asked for at once"),
        "ask for fewer; a run needs a larger buffer.size",
    )
}

fn wrong_classes(class: i64, classes: usize) -> Error {
    Error::input(
        "the replay buffer",
        format!("a slot is of class {class}, and there are {classes}"),
        "use a checkpoint of this run",
    )
}

/// Rounds [-1, 1] to one of 256 levels at random, so that the mean is kept; what lies outside goes to the ends.
fn to_levels(x: &Tensor, rng: &mut Stream) -> Tensor {
    let mut dither = Tensor::empty(x.size(), (Kind::Float, x.device()));
    rng.uniform_(&mut dither, 0.0, 1.0);
    let mut level = (x.detach() + 1.0).g_mul_scalar_(127.5);
    let _ = level.g_add_(&dither).floor_().clamp_(0.0, 255.0);
    level.to_kind(Kind::Uint8)
}

/// Chains as f32, whatever they are stored as.
fn from_storage(chains: &Tensor) -> Tensor {
    match chains.kind() {
        Kind::Uint8 => data::to_unit(chains),
        _ => chains.shallow_clone(),
    }
}

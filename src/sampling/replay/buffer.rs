//! Chains that persist from one training step to the next, on the device.

use std::collections::BTreeMap;

use rand::RngExt;
use tch::{Device, Kind, Tensor};

use super::config::{BufferConfig, Replacement, Storage};
use super::slots::SlotClasses;
use super::storage::{from_storage, to_levels};
use crate::data;
use crate::error::Result;
use crate::files::{self, Named};
use crate::rng::Stream;
use crate::sampling::Positions;

/// The name of the slots' classes in a checkpoint.
const CLASSES: &str = "classes";
/// The name of the chains' replicas in a checkpoint.
const REPLICAS: &str = "replicas";

/// Chains kept on the device (Tieleman 2008), some of which start afresh when they are drawn (Du &
/// Mordatch 2019).
///
/// Neither drawing nor storing reads anything back from the device.
#[derive(Debug)]
pub struct ReplayBuffer {
    cfg: BufferConfig,
    /// `[S,C,H,W]`, f32, or u8 for 256 levels of [-1, 1].
    pub(super) chains: Tensor,
    /// The replicas of each chain at hotter rungs, coldest first, `[S,R,C,H,W]`, stored as chains
    /// are, of a kernel that keeps them.
    replicas: Option<Tensor>,
    /// Steps of each chain since it started, `[S]`, i64.
    pub(super) age: Tensor,
    /// How often each chain was drawn since it started, `[S]`, i64.
    reuse: Tensor,
    /// Chains stored so far; what reservoir sampling counts.
    stored: i64,
    /// The classes of slots, where each slot keeps to one.
    pub(super) classes: Option<SlotClasses>,
}

/// Chains to run.
#[derive(Debug)]
pub struct Drawn {
    /// Where they are, `[n,C,H,W]`, f32; memory of its own.
    pub x: Tensor,
    /// Their replicas, coldest first, `[n,C,H,W]` each, f32, where the buffer keeps them.
    pub replicas: Vec<Tensor>,
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
    /// How often they were drawn since they started, this time included, `[n]`, i64; 0 for fresh
    /// ones.
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
            replicas: None,
            age,
            reuse,
            stored: 0,
            classes: None,
        }
    }

    /// The same buffer with so many replicas for each chain, which start as copies of it.
    pub fn with_replicas(mut self, replicas: usize) -> Self {
        self.replicas = (replicas > 0).then(|| copies(&self.chains, replicas as i64));
        self
    }

    /// How many replicas each chain of a saved state has.
    pub fn saved_replicas(named: &Named) -> usize {
        let saved = named.get(REPLICAS).and_then(|t| t.size().get(1).copied());
        saved.unwrap_or(0) as usize
    }

    /// How many chains it holds.
    pub fn len(&self) -> i64 {
        self.chains.size()[0]
    }

    /// Whether it holds none; a checked configuration never makes one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Draws `n` chains from distinct slots; each starts afresh with probability `reinit_prob`,
    /// from what `fresh` gives when it is asked for so many; the others are changed at random
    /// first, where the configuration says so.
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

    /// How many of `n` chains start afresh.
    pub(super) fn count_afresh(&self, n: i64, rng: &mut Stream) -> i64 {
        let mut host = rng.host();
        (0..n).filter(|_| host.random_bool(self.cfg.reinit_prob)).count() as i64
    }

    /// The chains of `slots`, the last `afresh` of them started anew.
    pub(super) fn take(
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
        let mut replicas = self
            .replicas
            .as_ref()
            .map(|all| from_storage(&all.index_select(0, &kept)));
        if afresh > 0 {
            let fresh = fresh(rng)?.detach();
            replicas = replicas.map(|kept| Tensor::cat(&[&kept, &copies(&fresh, kept.size()[1])], 0));
            x = Tensor::cat(&[x, fresh], 0);
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
        Ok(Drawn {
            x,
            replicas: replicas.map_or_else(Vec::new, |all| all.unbind(1)),
            classes,
            origin,
        })
    }

    /// Takes chains back after `n_steps` more steps: into their own slots, or into random ones, as
    /// the configuration has it. Replicas go where their chain goes; where none are given, and the
    /// buffer keeps them, copies of the chains take their places.
    pub fn put(&mut self, origin: &Origin, ends: impl Into<Positions>, n_steps: usize, rng: &mut Stream) {
        let _guard = tch::no_grad_guard();
        let Positions { x, replicas } = ends.into();
        let replicas = self.replicas.as_ref().map(|all| match &replicas[..] {
            [] => copies(&x, all.size()[1]),
            given => Tensor::stack(given, 1),
        });
        let mut stored = |x: Tensor| match self.cfg.storage {
            Storage::F32 => x.detach(),
            Storage::U8 => to_levels(&x, rng),
        };
        let x = stored(x);
        let replicas = replicas.map(stored);
        let age = &origin.age + n_steps as i64;
        let n = x.size()[0];
        match self.cfg.replacement {
            Replacement::InPlace => self.write(&origin.slots, [&x, &age, &origin.reuse], replicas.as_ref()),
            Replacement::Reservoir => {
                let (rows, slots) = self.reservoir(n, rng);
                // Without blocking: the numbers are taken along with the copy's launch, and nobody
                // waits for the device.
                let to_device = |v: &[i64]| Tensor::from_slice(v).to_device_(self.device(), Kind::Int64, true, false);
                let (rows, slots) = (to_device(&rows), to_device(&slots));
                let rows_of = |t: &Tensor| t.index_select(0, &rows);
                let counted = [&x, &age, &origin.reuse].map(rows_of);
                self.write(&slots, counted.each_ref(), replicas.as_ref().map(rows_of).as_ref());
            }
        }
        self.stored += n;
    }

    fn write(&mut self, slots: &Tensor, [x, age, reuse]: [&Tensor; 3], replicas: Option<&Tensor>) {
        let _ = self.chains.index_copy_(0, slots, x);
        let _ = self.age.index_copy_(0, slots, age);
        let _ = self.reuse.index_copy_(0, slots, reuse);
        if let (Some(own), Some(new)) = (&mut self.replicas, replicas) {
            let _ = own.index_copy_(0, slots, new);
        }
    }

    /// Which rows of a batch of `n` go into which slots, so that the buffer is at any time a
    /// uniform sample of all chains ever stored (algorithm R, Vitter 1985); until it is full, every
    /// chain gets the next slot.
    ///
    /// A row whose slot a later row of the batch takes is left out, as if the later one had
    /// overwritten it.
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

    /// `n` different chains at random, `[n,C,H,W]`, f32, to look at or to start from; the buffer
    /// does not change.
    pub fn peek(&self, n: i64, rng: &mut Stream) -> Tensor {
        let slots = rng.permutation(self.len(), self.device());
        let slots = slots.narrow(0, 0, n.min(self.len()));
        from_storage(&self.chains.index_select(0, &slots))
    }

    /// Everything that a checkpoint needs, by name; the tensors are the buffer's own memory.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let stored = Tensor::from_slice(&[self.stored]);
        let classes = self.classes.as_ref().map(SlotClasses::of_slots);
        let named = [
            ("chains", Some(self.chains.shallow_clone())),
            (REPLICAS, self.replicas.as_ref().map(Tensor::shallow_clone)),
            ("age", Some(self.age.shallow_clone())),
            ("reuse", Some(self.reuse.shallow_clone())),
            ("stored", Some(stored)),
            (CLASSES, classes),
        ];
        named
            .into_iter()
            .filter_map(|(name, t)| Some((name.to_owned(), t?)))
            .collect()
    }

    /// Takes over a saved state; `place` names it in errors.
    ///
    /// Earlier versions saved no classes of slots, and split the slots evenly; they saved no replicas
    /// either, which then start as copies of their chains.
    ///
    /// # Errors
    /// When names, shapes or kinds differ, or a chain is not finite; nothing was copied then.
    pub fn load_state(&mut self, named: &Named, place: &str) -> Result<()> {
        let mut expected = self.state();
        for later in [CLASSES, REPLICAS] {
            if !named.contains_key(later) {
                expected.retain(|(name, _)| name != later);
            }
        }
        files::check_same(&expected, named, place)?;
        files::ensure_finite(named, &format!("{place}, the replay buffer"))?;
        let _guard = tch::no_grad_guard();
        self.load_classes(named.get(CLASSES))?;
        self.chains.copy_(&named["chains"]);
        if let Some(replicas) = &mut self.replicas {
            match named.get(REPLICAS) {
                Some(saved) => replicas.copy_(saved),
                None => replicas.copy_(&self.chains.unsqueeze(1)),
            }
        }
        self.age.copy_(&named["age"]);
        self.reuse.copy_(&named["reuse"]);
        self.stored = named["stored"].int64_value(&[0]);
        Ok(())
    }

    pub(super) fn device(&self) -> Device {
        self.chains.device()
    }
}

/// So many copies of each chain `[n,..]`, `[n,copies,..]`, in memory of their own.
fn copies(chains: &Tensor, copies: i64) -> Tensor {
    let mut size = chains.size();
    size.insert(1, copies);
    chains.unsqueeze(1).expand(&size[..], false).copy()
}

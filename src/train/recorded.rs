//! The device's part of a training step as a CUDA graph: recorded at a step like those before it, then replayed.

use tch::{Device, Tensor};

use super::batch::{Batch, Synthesised};
use crate::ffi::cuda::{self, Graph, SideStream};
use crate::objective::ObjectiveConfig;
use crate::rng;
use crate::sampling::CudaGraph;
use crate::sampling::WARM_UP;

/// Runs the device's part of each step: as it is at first, on a side stream, then as a graph.
///
/// The first steps are ordinary ones, so nothing is done for the sake of recording alone. A recorded step launches the
/// same operations on the same random numbers, so it does not matter for a run's numbers at which step recording begins.
#[derive(Default)]
pub(super) struct StepRecorder {
    /// Whether steps are to be recorded.
    on: bool,
    /// Why they cannot be, where that is known before.
    obstacle: Option<&'static str>,
    /// The shapes of the steps that were made on the side stream, and how many there were on end.
    warm: (Vec<Vec<i64>>, usize),
    recorded: Option<Recorded>,
    side: Option<SideStream>,
    notice: Option<String>,
}

/// A recorded step and the batch that it reads.
struct Recorded {
    // Dropped before the memory that it reads.
    graph: Graph,
    batch: Batch,
}

impl StepRecorder {
    /// A recorder for steps of an objective.
    pub fn new(mode: CudaGraph, objective: &ObjectiveConfig) -> Self {
        let obstacle = match objective.differentiates_chains() {
            true => Some("improved contrastive divergence draws noise in the middle of it"),
            false => (!cuda::LINKED).then_some(cuda::NOT_LINKED),
        };
        Self {
            on: mode == CudaGraph::Auto,
            obstacle,
            ..Self::default()
        }
    }

    /// Runs `work` on `batch`: itself, or what was recorded of it.
    pub fn run(&mut self, batch: &Batch, device: Device, work: &mut dyn FnMut(&Batch)) {
        let (true, Device::Cuda(device)) = (self.on, device) else {
            return work(batch);
        };
        if let Some(why) = self.obstacle {
            self.give_up(why);
            return work(batch);
        }
        let shapes = batch.shapes();
        if self.warm.0 != shapes {
            self.forget();
            self.warm.0 = shapes;
        }
        if let Err(why) = self.run_on(device, batch, work) {
            self.give_up(&why);
            work(batch);
        }
    }

    /// The memory of what was recorded is no longer the one that steps use.
    pub fn forget(&mut self) {
        self.recorded = None;
        self.warm = Default::default();
    }

    /// What is to be told to a person, once: that steps run without a graph, and why.
    pub fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// One step on a CUDA device; after an error nothing of it was done.
    fn run_on(&mut self, device: usize, batch: &Batch, work: &mut dyn FnMut(&Batch)) -> cuda::Result<()> {
        if let Some(recorded) = &mut self.recorded {
            recorded.batch.take_from(batch);
            recorded.replay();
            return Ok(());
        }
        let side = match &mut self.side {
            Some(side) => side,
            none => none.insert(SideStream::new(device)?),
        };
        let inside = side.enter()?;
        if self.warm.1 < WARM_UP {
            self.warm.1 += 1;
            work(batch);
            return Ok(());
        }
        let batch = batch.copy();
        let (graph, draws) = rng::recorded(|| Graph::capture(device, &inside, || work(&batch)));
        drop(inside);
        let graph = graph?;
        if draws > 0 {
            return Err("a pass of it seeds the generator".into());
        }
        // The capture has run nothing: the first replay is this step.
        self.recorded.insert(Recorded { graph, batch }).replay();
        Ok(())
    }

    fn give_up(&mut self, why: &str) {
        self.on = false;
        self.forget();
        self.notice = Some(format!("training steps run without a CUDA graph: {why}"));
    }
}

impl Recorded {
    fn replay(&self) {
        let replayed = self.graph.replay_kept();
        replayed.unwrap_or_else(|e| panic!("a recorded training step cannot be replayed: {e}"));
    }
}

impl Batch {
    /// Every tensor of it; what an objective does not use is absent in every batch.
    fn tensors(&self) -> Vec<Option<&Tensor>> {
        let [images, classes] = match &self.labelled {
            Some([images, classes]) => [Some(images), Some(classes)],
            None => [None, None],
        };
        let negative = self.negative.as_ref();
        vec![
            self.positive.as_ref(),
            images,
            classes,
            negative.map(|n| &n.x),
            negative.and_then(|n| n.class.tensor()),
            negative.map(|n| &n.grad_norm),
        ]
    }

    /// What tells batches apart for which other work is done; nothing at all stands for what is absent.
    fn shapes(&self) -> Vec<Vec<i64>> {
        let shape = |t: Option<&Tensor>| t.map_or(vec![-1], Tensor::size);
        self.tensors().into_iter().map(shape).collect()
    }

    /// The same in memory of its own, without the last step of chains.
    fn copy(&self) -> Self {
        let negative = self.negative.as_ref();
        Self {
            positive: self.positive.as_ref().map(Tensor::copy),
            labelled: self.labelled.as_ref().map(|pair| pair.each_ref().map(Tensor::copy)),
            negative: negative.map(|n| Synthesised {
                x: n.x.copy(),
                class: n.class.copy(),
                grad_norm: n.grad_norm.copy(),
                last_step: None,
            }),
        }
    }

    /// Copies a batch of the same shapes into this one's memory.
    fn take_from(&mut self, other: &Self) {
        for (own, new) in self.tensors().into_iter().zip(other.tensors()) {
            if let (Some(own), Some(new)) = (own, new) {
                own.shallow_clone().copy_(new);
            }
        }
    }
}

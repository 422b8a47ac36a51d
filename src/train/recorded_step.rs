//! The device's part of a training step as a CUDA graph: recorded at a step like those before it, then replayed.

use tch::Device;

use crate::ffi::cuda::{self, Graph, SideStream};
use crate::objective::Inputs;
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
    warm: (Vec<(&'static str, Vec<i64>)>, usize),
    recorded: Option<Recorded>,
    side: Option<SideStream>,
    notice: Option<String>,
}

/// A recorded step and the inputs that it reads.
struct Recorded {
    // Dropped before the memory that it reads.
    graph: Graph,
    inputs: Inputs,
}

impl StepRecorder {
    /// A recorder that has recorded nothing yet.
    pub fn new(mode: CudaGraph) -> Self {
        Self {
            on: mode == CudaGraph::Auto,
            obstacle: (!cuda::LINKED).then_some(cuda::NOT_LINKED),
            ..Self::default()
        }
    }

    /// Runs `work` on `inputs`: itself, or what was recorded of it.
    pub fn run(&mut self, inputs: &Inputs, device: Device, work: &mut dyn FnMut(&Inputs)) {
        let (true, Device::Cuda(device)) = (self.on, device) else {
            return work(inputs);
        };
        if let Some(why) = self.obstacle {
            self.give_up(why);
            return work(inputs);
        }
        let shapes = inputs.shapes();
        if self.warm.0 != shapes {
            self.forget();
            self.warm.0 = shapes;
        }
        if let Err(why) = self.run_on(device, inputs, work) {
            self.give_up(&why);
            work(inputs);
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
    fn run_on(&mut self, device: usize, inputs: &Inputs, work: &mut dyn FnMut(&Inputs)) -> cuda::Result<()> {
        if let Some(recorded) = &mut self.recorded {
            recorded.inputs.take_from(inputs);
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
            work(inputs);
            return Ok(());
        }
        let inputs = inputs.copy();
        let (graph, draws) = rng::recorded(|| Graph::capture(device, &inside, || work(&inputs)));
        drop(inside);
        let graph = graph?;
        if draws > 0 {
            return Err("a pass of it seeds the generator".into());
        }
        // The capture has run nothing: the first replay is this step.
        self.recorded.insert(Recorded { graph, inputs }).replay();
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

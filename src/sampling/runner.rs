//! Runs chains; on CUDA one step is recorded as a graph and replayed, as long as network, kernel and shape stay the same.

use tch::{Device, Kind, Tensor};

use super::chain::{ChainOutput, run_chain_watched};
use super::config::CudaGraph;
use super::kernel::{ChainState, Kernel};
use crate::energy::Energy;
use crate::ffi::cuda::{self, Graph, SideStream};
use crate::rng::{self, Stream};

/// Steps that run on the side stream before the capture: libraries choose algorithms and allocate in the first ones.
pub(crate) const WARM_UP: usize = 3;

/// Runs chains one after another and keeps what was recorded of them in between.
///
/// A chain gives what [`run_chain_watched`] gives: on a CPU it is that function; a replayed step with at most one draw
/// gets the same random numbers, and one with several gets others of the same distribution. Two runs are equal either
/// way, since a chain that can be recorded is replayed from its first step on.
#[derive(Debug)]
pub struct ChainRunner {
    mode: CudaGraph,
    recorded: Option<Recorded>,
    notice: Option<String>,
    noticed: bool,
}

/// What a recording is of; it holds on to the memory of the energy, so equal addresses are the same tensors.
#[derive(Debug)]
struct Subject {
    kernel: String,
    reads: Vec<Tensor>,
    size: Vec<i64>,
    device: usize,
}

/// One step, recorded on tensors that stay where they are.
#[derive(Debug)]
struct Recorded {
    // Fields are dropped in this order: the graph before the memory that it uses.
    graph: Graph,
    subject: Subject,
    state: ChainState,
    norms: Tensor,
    /// Draws of a step.
    draws: u64,
    _side: SideStream,
}

impl ChainRunner {
    /// A runner that has recorded nothing yet.
    pub fn new(mode: CudaGraph) -> Self {
        Self {
            mode,
            recorded: None,
            notice: None,
            noticed: false,
        }
    }

    /// Runs a batch of chains from `x`, as [`run_chain_watched`] does.
    pub fn run(
        &mut self,
        kernel: &dyn Kernel,
        energy: &dyn Energy,
        x: Tensor,
        n_steps: usize,
        rng: &mut Stream,
        watch: &mut dyn FnMut(usize, &Tensor),
    ) -> ChainOutput {
        match self.recorded_for(kernel, energy, &x, rng) {
            Some(recorded) => recorded.run(&x, n_steps, rng, watch),
            None => run_chain_watched(kernel, energy, x, n_steps, rng, watch),
        }
    }

    /// Why chains of this kernel and energy on this device cannot be recorded, where they would be.
    ///
    /// A text for people; none on a CPU, and none where graphs are switched off.
    pub fn obstacle(&self, kernel: &dyn Kernel, energy: &dyn Energy, device: Device) -> Option<String> {
        if self.mode == CudaGraph::Off || !matches!(device, Device::Cuda(_)) {
            return None;
        }
        if !cuda::LINKED {
            return Some(cuda::NOT_LINKED.into());
        }
        if kernel.homogeneous().is_none() {
            return Some("the kernel's steps differ with their number".into());
        }
        let unknown = energy.reads().is_none();
        unknown.then(|| "the energy depends on more than tensors that stay where they are".into())
    }

    /// What is to be told to a person, once: that chains run without a graph, and why.
    pub fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// The recording of such a chain, made where there is none yet; nothing where there can be none.
    fn recorded_for(
        &mut self,
        kernel: &dyn Kernel,
        energy: &dyn Energy,
        x: &Tensor,
        rng: &Stream,
    ) -> Option<&mut Recorded> {
        if let Some(why) = self.obstacle(kernel, energy, x.device()) {
            self.give_notice(&why);
            return None;
        }
        let subject = self.subject(kernel, energy, x)?;
        if self.recorded.as_ref().is_none_or(|r| !r.subject.same(&subject)) {
            // The old one's memory is free for the new one.
            self.recorded = None;
            match Recorded::new(subject, kernel, energy, x, rng) {
                Ok(recorded) => self.recorded = Some(recorded),
                Err(why) => {
                    // What failed once would fail at every chain.
                    self.mode = CudaGraph::Off;
                    self.give_notice(&why);
                }
            }
        }
        self.recorded.as_mut()
    }

    fn subject(&self, kernel: &dyn Kernel, energy: &dyn Energy, x: &Tensor) -> Option<Subject> {
        let (CudaGraph::Auto, Device::Cuda(device)) = (self.mode, x.device()) else {
            return None;
        };
        Some(Subject {
            kernel: kernel.homogeneous()?,
            reads: energy.reads()?,
            size: x.size(),
            device,
        })
    }

    fn give_notice(&mut self, why: &str) {
        if !std::mem::replace(&mut self.noticed, true) {
            self.notice = Some(format!("chains run without a CUDA graph: {why}"));
        }
    }
}

impl Subject {
    fn same(&self, other: &Self) -> bool {
        let place = |t: &Tensor| (t.data_ptr(), t.size(), t.stride(), t.kind());
        (&self.kernel, &self.size, self.device) == (&other.kernel, &other.size, other.device)
            && self.reads.len() == other.reads.len()
            && self.reads.iter().zip(&other.reads).all(|(a, b)| place(a) == place(b))
    }
}

impl Recorded {
    /// Warms up on copies, so that the chain itself has made no step yet, and records one step.
    fn new(subject: Subject, kernel: &dyn Kernel, energy: &dyn Energy, x: &Tensor, rng: &Stream) -> cuda::Result<Self> {
        let mut side = SideStream::new(subject.device)?;
        let state = ChainState::new(x);
        let norms = Tensor::zeros(state.x.size()[0], (Kind::Float, state.x.device()));
        let mut rng = rng.clone();
        let (graph, draws) = {
            let inside = side.enter()?;
            let mut trial = ChainState::new(x);
            for _ in 0..WARM_UP {
                let (next, info) = kernel.step(energy, trial, &mut rng);
                trial = next;
                let _ = norms.shallow_clone().g_add_(&info.grad_norm);
            }
            let step = || record_step(kernel, energy, &state, &norms, &mut rng);
            let (graph, draws) = rng::recorded(|| Graph::capture(subject.device, &inside, step));
            (graph?, draws)
        };
        Ok(Self {
            graph,
            subject,
            state,
            norms,
            draws,
            _side: side,
        })
    }

    fn run(
        &mut self,
        x: &Tensor,
        n_steps: usize,
        rng: &mut Stream,
        watch: &mut dyn FnMut(usize, &Tensor),
    ) -> ChainOutput {
        self.state.x.copy_(&x.detach());
        let _ = self.norms.zero_();
        watch(0, &self.state.x);
        for k in 1..=n_steps {
            rng.arm_replay(self.draws);
            let replayed = self.graph.replay_kept();
            replayed.unwrap_or_else(|e| panic!("a recorded step of the chain cannot be replayed: {e}"));
            watch(k, &self.state.x);
        }
        let grad_norm = self.norms.mean(Kind::Float) / n_steps.max(1) as f64;
        ChainOutput {
            x: self.state.x.copy(),
            grad_norm,
        }
    }
}

/// A step from `state` whose outcome goes back into its memory; norms are added to `norms`.
fn record_step(kernel: &dyn Kernel, energy: &dyn Energy, state: &ChainState, norms: &Tensor, rng: &mut Stream) {
    let from = ChainState {
        x: state.x.shallow_clone(),
        at_x: None,
        step: 0,
        scratch: state.scratch.shallow_clone(),
    };
    let (next, info) = kernel.step(energy, from, rng);
    assert!(
        next.at_x.is_none(),
        "the kernel carries energies from one step to the next"
    );
    if next.x.data_ptr() != state.x.data_ptr() {
        state.x.shallow_clone().copy_(&next.x);
    }
    let _ = norms.shallow_clone().g_add_(&info.grad_norm);
}

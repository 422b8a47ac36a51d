//! Runs chains; on CUDA one step is recorded as a graph and replayed, as long as network, kernel and shape stay the same.

use tch::{Device, Tensor};

use super::chain::{ChainOutput, Sums, Watch, run_chain_watched};
use super::config::CudaGraph;
use super::kernel::{ChainState, Kernel, StepInfo};
use super::positions::Positions;
use crate::energy::{Energy, Identity};
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
    energy: Identity,
    /// What a warm-up writes, if there is one.
    tuned: Vec<Tensor>,
    sizes: Vec<Option<Vec<i64>>>,
    device: usize,
}

/// One step, recorded on tensors that stay where they are.
#[derive(Debug)]
struct Recorded {
    // Fields are dropped in this order: the graph before the memory that it uses.
    graph: Graph,
    subject: Subject,
    state: ChainState,
    /// What the step tells, in the memory that a replay writes.
    info: StepInfo,
    sums: Sums,
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

    /// Runs a batch of chains from where they are, as [`run_chain_watched`] does.
    pub fn run(
        &mut self,
        kernel: &dyn Kernel,
        energy: &dyn Energy,
        from: impl Into<Positions>,
        n_steps: usize,
        rng: &mut Stream,
        watch: &mut dyn Watch,
    ) -> ChainOutput {
        let from = from.into();
        let device = from.x.device();
        if let Some(why) = self.obstacle(kernel, energy, device) {
            self.give_notice(&why);
        } else if let (CudaGraph::Auto, Device::Cuda(device)) = (self.mode, device) {
            let before = rng.clone();
            energy.prepare(1, n_steps);
            let mut state = from.start(kernel, energy, rng);
            watch.started(&mut state);
            if let Some(recorded) = self.recorded_for(kernel, energy, &state, device, rng) {
                return recorded.run(&state, energy, n_steps, rng, watch);
            }
            *rng = before;
        }
        run_chain_watched(kernel, energy, from, n_steps, rng, watch)
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
        if kernel.identity().is_none() {
            return Some("the kernel's steps differ with their number, or wait for the host".into());
        }
        let unknown = energy.identity().is_none() || energy.changes();
        unknown.then(|| "the energy depends on more than tensors that stay where they are".into())
    }

    /// What is to be told to a person, once: that chains run without a graph, and why.
    pub fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// The recording of chains of such a state, made where there is none yet; nothing where there
    /// can be none.
    fn recorded_for(
        &mut self,
        kernel: &dyn Kernel,
        energy: &dyn Energy,
        state: &ChainState,
        device: usize,
        rng: &Stream,
    ) -> Option<&mut Recorded> {
        let subject = Subject {
            kernel: kernel.identity()?,
            energy: energy.identity()?,
            tuned: [&state.step_size, &state.scale]
                .into_iter()
                .flatten()
                .map(Tensor::shallow_clone)
                .collect(),
            sizes: state.tensors().map(|t| t.map(Tensor::size)).into(),
            device,
        };
        if self.recorded.as_ref().is_none_or(|r| !r.subject.same(&subject)) {
            // The old one's memory is free for the new one.
            self.recorded = None;
            match Recorded::new(subject, kernel, energy, state, rng) {
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

    fn give_notice(&mut self, why: &str) {
        if !std::mem::replace(&mut self.noticed, true) {
            self.notice = Some(format!("chains run without a CUDA graph: {why}"));
        }
    }
}

impl Subject {
    fn same(&self, other: &Self) -> bool {
        let place = |t: &Tensor| (t.data_ptr(), t.size(), t.stride(), t.kind());
        let places = |s: &Self| -> Vec<_> { s.energy.reads.iter().chain(&s.tuned).map(place).collect() };
        (&self.kernel, &self.energy.words, &self.sizes, self.device)
            == (&other.kernel, &other.energy.words, &other.sizes, other.device)
            && places(self) == places(other)
    }
}

impl Recorded {
    /// Warms up on copies, so that the chain itself has made no step yet, and records one step.
    fn new(
        subject: Subject,
        kernel: &dyn Kernel,
        energy: &dyn Energy,
        start: &ChainState,
        rng: &Stream,
    ) -> cuda::Result<Self> {
        let mut side = SideStream::new(subject.device)?;
        let state = start.copied();
        let mut sums = Sums::new(&state);
        let mut rng = rng.clone();
        let mut info = StepInfo::default();
        let (graph, draws) = {
            let inside = side.enter()?;
            let mut trial = start.copied();
            for _ in 0..WARM_UP {
                let (next, told) = kernel.step(energy, trial, &mut rng);
                trial = next;
                sums.add(&told);
            }
            let step = || info = record_step(kernel, energy, &state, &mut sums, &mut rng);
            let (graph, draws) = rng::recorded(|| Graph::capture(subject.device, &inside, step));
            (graph?, draws)
        };
        Ok(Self {
            graph,
            subject,
            state,
            info,
            sums,
            draws,
            _side: side,
        })
    }

    /// Runs chains that start in `start`.
    fn run(
        &mut self,
        start: &ChainState,
        energy: &dyn Energy,
        n_steps: usize,
        rng: &mut Stream,
        watch: &mut dyn Watch,
    ) -> ChainOutput {
        self.state.take_from(start);
        self.state.step = 0;
        self.sums.zero();
        for k in 1..=n_steps {
            energy.prepare(k, n_steps);
            rng.seed_replay(self.draws);
            let replayed = self.graph.replay_kept();
            replayed.unwrap_or_else(|e| panic!("a recorded step of the chain cannot be replayed: {e}"));
            self.state.step = k;
            watch.seen(k, &mut self.state, &self.info);
        }
        // A kernel with replicas is not recorded.
        self.sums.output(self.state.x.copy(), Vec::new(), n_steps)
    }
}

/// A step from `state` whose outcome goes back into its memory; what it tells is added to `sums`.
fn record_step(
    kernel: &dyn Kernel,
    energy: &dyn Energy,
    state: &ChainState,
    sums: &mut Sums,
    rng: &mut Stream,
) -> StepInfo {
    let (next, info) = kernel.step(energy, state.shared(), rng);
    state.take_from(&next);
    sums.add(&info);
    info
}

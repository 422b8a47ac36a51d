//! A classifier as it is used on images that may be attacked: alone, or after Langevin steps that pull images back.

use tch::{Kind, Tensor};

use crate::data;
use crate::energy::Outputs;
use crate::rng::Stream;
use crate::sampling::{Kernel, run_chain};

/// JEM-k (Grathwohl et al. 2020): images move by k Langevin steps on E(x) before they are classified.
///
/// Every image is taken `chains` times, noise is added to each copy, each moves by `refine` steps, and the logits are
/// averaged over the copies. With no noise and no step this is the classifier itself. The network computes in evaluation
/// mode also along the chain, whatever the run's own chains do: no image may depend on those beside it.
#[derive(Debug)]
pub struct Defence<'a> {
    energy: &'a dyn Outputs,
    kernel: Option<Box<dyn Kernel>>,
    refine: usize,
    chains: i64,
    noise: f64,
}

impl<'a> Defence<'a> {
    /// A defence of `refine` steps of `kernel`, made for chains at least as long; `noise` is the standard deviation that is
    /// added to images in [-1, 1].
    ///
    /// # Panics
    /// If there are no logits, there is no chain, or no kernel for the steps.
    pub fn new(
        energy: &'a dyn Outputs,
        kernel: Option<Box<dyn Kernel>>,
        refine: usize,
        chains: i64,
        noise: f64,
    ) -> Self {
        assert!(energy.classes().is_some(), "only a classifier can be defended");
        assert!(chains > 0, "a defence needs a chain");
        assert!(refine == 0 || kernel.is_some(), "steps need a kernel");
        Self {
            energy,
            kernel,
            refine,
            chains,
            noise,
        }
    }

    /// Whether the same image may get other logits the next time.
    pub fn is_random(&self) -> bool {
        self.noise > 0.0 || (self.refine > 0 && self.kernel().facts().random)
    }

    /// Logits `[B,K]` of images `[B,C,H,W]`, without a graph.
    pub fn logits(&self, x: &Tensor, rng: &mut Stream) -> Tensor {
        let _guard = tch::no_grad_guard();
        let copies = self.copies(x, rng);
        let refined = match self.refine {
            0 => copies,
            k => run_chain(self.kernel(), &self.energy.any(), copies, k, rng).x,
        };
        self.mean_logits(&refined)
    }

    /// The same numbers, differentiable with respect to the images, through every step.
    pub fn logits_with_graph(&self, x: &Tensor, rng: &mut Stream) -> Tensor {
        let copies = self.copies(x, rng);
        let step = |x: Tensor, k: usize| {
            let graph = self.kernel().with_graph().expect("checked to have steps with a graph");
            let mut noise = x.detach().zeros_like();
            // Drawn where a step of the chain draws, so that both get the same numbers.
            if self.kernel().facts().random {
                rng.normal_(&mut noise);
            }
            graph.step_with_graph(&self.energy.any(), &x, &noise, k)
        };
        let refined = (0..self.refine).fold(copies, step);
        self.mean_logits(&refined)
    }

    /// The logits of the classifier alone, differentiable.
    pub fn plain_logits(&self, x: &Tensor) -> Tensor {
        self.energy.raw(x)
    }

    fn kernel(&self) -> &dyn Kernel {
        self.kernel.as_deref().expect("checked to have one")
    }

    /// The copies of an image stand one after another.
    fn copies(&self, x: &Tensor, rng: &mut Stream) -> Tensor {
        let copies = match self.chains {
            1 => x.shallow_clone(),
            n => x.repeat_interleave_self_int(n, 0, None),
        };
        data::add_noise(&copies, self.noise, rng)
    }

    fn mean_logits(&self, copies: &Tensor) -> Tensor {
        let logits = self.energy.raw(copies);
        let [n, classes] = logits.size()[..] else {
            unreachable!("a classifier gives a row of logits an image")
        };
        logits
            .view([n / self.chains, self.chains, classes])
            .mean_dim([1i64].as_slice(), false, Kind::Float)
    }
}

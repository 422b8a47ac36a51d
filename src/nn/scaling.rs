//! What a level of noise does to states before the first layer, and to outputs behind the last.

use tch::{Kind, Tensor};

use super::builder::Builder;
use super::config::{NetworkConfig, Output};
use super::levels::{LevelForm, Levels};
use crate::error::Result;
use crate::space::sum_each;

impl NetworkConfig {
    /// The shape of what the first layer gets of a state.
    pub(super) fn first_input(&self) -> Vec<i64> {
        let mut shape = self.input.clone();
        if let Some(Levels {
            form: LevelForm::Input { .. },
            ..
        }) = self.levels
        {
            shape[0] = 2 * shape[0] + 1;
        }
        shape
    }

    /// What a level does to states and outputs; sigma is `[]` or `[B]`, and `low` where none is given.
    pub(super) fn scaling(&self, sigma: Option<&Tensor>, x: &Tensor) -> Option<Scaling> {
        let levels = self.levels?;
        let sigma = match sigma {
            Some(sigma) => sigma.shallow_clone(),
            None => Tensor::full([1i64], levels.low, (Kind::Float, x.device())),
        };
        Some(Scaling {
            sigma: sigma.view([-1]),
            form: levels.form,
            sign: match self.output {
                Output::Energy => 1.0,
                Output::NegativeEnergy | Output::Logits => -1.0,
            },
        })
    }
}

/// What a level does to the states of a batch, and to what the layers make of them.
pub(super) struct Scaling {
    /// `[1]` or `[B]`
    sigma: Tensor,
    form: LevelForm,
    /// 1 of outputs that are energies, -1 of those that are minus energies.
    sign: f64,
}

impl Scaling {
    /// sigma^2 + data_std^2
    fn variance(&self, data_std: f64) -> Tensor {
        self.sigma.square() + data_std * data_std
    }

    /// a
    fn raise(&self, data_std: f64) -> Tensor {
        (self.sigma.reciprocal() * (0.5 * data_std)).sqrt()
    }

    /// States as the first layer gets them.
    pub fn embed(&self, x: &Tensor) -> Tensor {
        let LevelForm::Input { data_std } = self.form else {
            return x.shallow_clone();
        };
        let mut plane = x.size();
        plane[1] = 1;
        let level = like(&(self.sigma.log() / 4.0), x).expand(&plane[..], false);
        let u = x * like(&self.variance(data_std).rsqrt(), x);
        let raised = &u * like(&self.raise(data_std), x);
        Tensor::cat(&[u, raised, level], 1)
    }

    /// The outputs at states `x`, of what the layers gave.
    pub fn output(&self, raw: Tensor, x: &Tensor) -> Tensor {
        let scaled = &raw * like(&self.slope(), &raw);
        match self.form {
            LevelForm::Divided => scaled,
            LevelForm::Input { data_std } => {
                let reference = sum_each(&x.square()) / self.variance(data_std) * (0.5 * self.sign);
                scaled + like(&reference, &raw)
            }
        }
    }

    /// What multiplies the layers' outputs, `[1]` or `[B]`.
    fn slope(&self) -> Tensor {
        let inverse = self.sigma.reciprocal();
        match self.form {
            LevelForm::Divided => inverse,
            LevelForm::Input { data_std } => inverse * data_std,
        }
    }

    /// The gradient in what the layers gave, from that in the outputs.
    pub fn through_output(&self, grad: &Tensor) -> Tensor {
        grad * like(&self.slope(), grad)
    }

    /// The gradient in the states `x`, from that in what the first layer got, and that in the outputs.
    pub fn through_input(&self, embedded: Tensor, outputs: &Tensor, x: &Tensor) -> Tensor {
        let LevelForm::Input { data_std } = self.form else {
            return embedded;
        };
        let variance = self.variance(data_std);
        // Every logit of a row holds the reference.
        let of_state = match outputs.dim() {
            1 => outputs.shallow_clone(),
            _ => sum_each(outputs),
        };
        let weight = of_state * self.sign / &variance;
        let parts = embedded.split_with_sizes([x.size()[1], x.size()[1], 1], 1);
        let of_u = &parts[0] + &parts[1] * like(&self.raise(data_std), x);
        let of_layers = of_u * like(&variance.rsqrt(), x);
        of_layers + x * like(&weight, x)
    }
}

/// A number a state, in a shape that multiplies `x`.
fn like(numbers: &Tensor, x: &Tensor) -> Tensor {
    let mut shape = vec![1; x.dim()];
    shape[0] = -1;
    numbers.view(&shape[..])
}

impl Builder<'_> {
    pub(super) fn check_levels(&self, model: &NetworkConfig) -> Result<()> {
        let Some(levels) = &model.levels else {
            return Ok(());
        };
        let positive = |n: f64| n > 0.0 && n.is_finite();
        self.ensure(positive(levels.low), "levels.low", levels.low, "a number above 0")?;
        self.ensure(
            positive(levels.high) && levels.high > levels.low,
            "levels.high",
            levels.high,
            "a number above `low`",
        )?;
        if let LevelForm::Input { data_std } = levels.form {
            let key = "levels.form.input.data_std";
            self.ensure(positive(data_std), key, data_std, "a number above 0")?;
            self.ensure(
                model.normalize.is_none(),
                "normalize",
                "a normalisation of channels beside `levels` of the form `input`, which scales states itself,",
                "one of the two",
            )?;
        }
        self.ensure(
            model.reference_std.is_none(),
            "reference_std",
            "a Gaussian reference, which knows no level, beside `levels`",
            "one of the two",
        )
    }
}

//! What is evaluated: a run's network, the images it is held against, and images synthesised from it.

use std::cell::OnceCell;
use std::path::PathBuf;

use serde_json::json;
use tch::{Device, Kind, Tensor};

use super::{Args, Figures};
use crate::cli::chains::Length;
use crate::cli::classes::Classes;
use crate::cli::judging::Loaded;
use crate::cli::progress::Progress;
use crate::cli::sets;
use crate::cli::starts::{From, starts};
use crate::cli::synthesis::{Target, synthesize};
use crate::config::{DataConfig, Dataset};
use crate::data::{self, DataSet, Images};
use crate::error::{Error, Result};
use crate::rng::Stream;
use crate::train::RunDir;

/// A run and what it is measured on.
pub struct Subject {
    pub run: RunDir,
    pub loaded: Loaded,
    pub out: PathBuf,
    /// What the images are called.
    pub set: String,
    seed: u64,
    limit: Option<i64>,
    config: DataConfig,
    data: OnceCell<DataSet>,
    conditional: OnceCell<((i64, From, Length), Made)>,
}

/// Synthesised images, and where their chains started; u8 `[N,C,H,W]` both.
pub struct Made {
    pub images: Tensor,
    pub starts: Tensor,
}

impl Made {
    /// The same tensors.
    fn shared(&self) -> Self {
        Self {
            images: self.images.shallow_clone(),
            starts: self.starts.shallow_clone(),
        }
    }
}

impl Subject {
    /// Loads the network; images are loaded when a part asks for them.
    pub fn new(args: &Args) -> Result<Self> {
        let run = RunDir::open(&args.run)?;
        let mut loaded = Loaded::new(&run, &args.choice)?;
        // Scores are of the run as it was trained: they were made ready before the sampler changes.
        args.quality.apply(&mut loaded.trained.experiment)?;
        let mut config = loaded.trained.experiment.data.clone();
        if let Some(set) = &args.data {
            config = DataConfig {
                dataset: sets::dataset(set)?,
                validation: 0,
                limit: None,
                labels_per_class: None,
                ..config
            };
        }
        Ok(Self {
            out: args.out.clone().unwrap_or_else(|| run.path().join("evaluate")),
            set: data::name(&config.dataset),
            run,
            loaded,
            seed: args.seed,
            limit: args.limit,
            config,
            data: OnceCell::new(),
            conditional: OnceCell::new(),
        })
    }

    /// What was evaluated, for the record.
    pub fn figures(&self, args: &Args) -> Figures {
        let mut figures = Figures::new();
        figures.insert("run".into(), json!(self.run.path().display().to_string()));
        figures.insert("step".into(), json!(self.loaded.trained.step));
        figures.insert("weights".into(), json!(args.choice.weights_word()));
        figures.insert("data".into(), json!(self.set));
        figures.insert("seed".into(), json!(self.seed));
        figures
    }

    /// A stream of this evaluation.
    pub fn stream(&self, name: &str) -> Stream {
        Stream::new(self.seed, &format!("evaluate {name}"))
    }

    /// The classes of the run; `what` is what asks for them.
    pub fn classes(&self, what: &str) -> Result<Classes> {
        Classes::of(&self.run, &self.loaded.trained, what)
    }

    /// The images of the run, or of --data.
    pub fn data(&self) -> Result<&DataSet> {
        if let Some(data) = self.data.get() {
            return Ok(data);
        }
        if self.config.dataset == Dataset::None {
            return Err(Error::input(
                self.run.path().display(),
                "the run was imported and names no images to measure on",
                "name them by --data, such as --data mnist",
            ));
        }
        let data = data::open(
            &self.config,
            self.loaded.trained.experiment.model.input,
            self.loaded.device,
        )?;
        Ok(self.data.get_or_init(|| data))
    }

    /// The test images, of which --limit draws some.
    pub fn test(&self) -> Result<Images> {
        self.some(&self.data()?.test, "test")
    }

    /// The training images, of which --limit draws some.
    pub fn train(&self) -> Result<Images> {
        self.some(&self.data()?.train, "training")
    }

    fn some(&self, images: &Images, part: &str) -> Result<Images> {
        if images.is_empty() {
            let what = format!("has no {part} images");
            return Err(Error::input(&self.set, what, "name other images by --data"));
        }
        match self.limit {
            Some(n) if n < images.len() => {
                let order = self.stream("subset").permutation(images.len(), Device::Cpu);
                Ok(images.select(&order.narrow(0, 0, n).sort(0, false).0))
            }
            _ => Ok(images.shallow_clone()),
        }
    }

    /// Labelled test images whose classes are those of the run.
    pub fn labelled(&self, classes: &Classes) -> Result<Images> {
        let test = self.test()?;
        let Some(_) = &test.labels else {
            return Err(Error::input(
                &self.set,
                "has no labels, which classification is measured by",
                "name labelled images by --data, or leave this part out by --parts",
            ));
        };
        let renamed = classes.known && test.classes != classes.names;
        if test.classes.len() != classes.len() || renamed {
            return Err(Error::input(
                &self.set,
                format!(
                    "is of {} classes ({}), the network tells {} apart ({})",
                    test.classes.len(),
                    test.classes.join(", "),
                    classes.len(),
                    classes.listed()
                ),
                "name images of the classes that the network was trained on",
            ));
        }
        Ok(test)
    }

    /// `n` images synthesised by chains of this length.
    pub fn synthesised(&self, n: i64, from: From, length: Length) -> Result<Made> {
        self.chains(n, from, length, &Target::Any)
    }

    /// `n` images synthesised by class, with the classes `[n]`, which take turns. Made once, where two parts ask for the
    /// same.
    pub fn by_class(&self, n: i64, from: From, length: Length) -> Result<(Made, Tensor)> {
        let count = self.loaded.trained.network.classes().unwrap_or(1);
        let asked = Tensor::arange(n, (Kind::Int64, self.loaded.device)).remainder(count);
        let key = (n, from, length);
        if let Some((of, made)) = self.conditional.get()
            && *of == key
        {
            return Ok((made.shared(), asked));
        }
        let made = self.chains(n, from, length, &Target::Classes(asked.shallow_clone()))?;
        let _ = self.conditional.set((key, made.shared()));
        Ok((made, asked))
    }

    fn chains(&self, n: i64, from: From, length: Length, target: &Target) -> Result<Made> {
        let trained = &self.loaded.trained;
        let mut rng = self.stream("samples");
        let starts = starts(from, &self.run, trained, n, target.first_classes(), &mut rng)?;
        let steps = length.whole() as u64;
        let progress = Progress::new(n as u64 * steps.max(1), 0);
        progress.say(&format!("synthesising {n} images by chains of {length} ..."));
        let mut watch = |first: i64, k: usize, x: &Tensor| {
            progress.at(first as u64 * steps + k as u64 * x.size()[0] as u64);
        };
        let experiment = &trained.experiment;
        let x = synthesize(
            &trained.network,
            experiment,
            target,
            &starts,
            length,
            &mut rng,
            &mut watch,
        );
        progress.finish();
        Ok(Made {
            images: data::to_u8(&x),
            starts: data::to_u8(&starts),
        })
    }
}

//! What is evaluated: a run's network, the images it is held against, and images synthesised from
//! it.

use std::cell::OnceCell;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tch::{Kind, Tensor};

use super::made::Made;
use crate::data::Dataset;
use crate::data::{self, DataSet, Images, Wanted};
use crate::error::{Error, Result, shown};
use crate::experiment::memory;
use crate::judging::classes::Classes;
use crate::judging::loaded::Loaded;
use crate::rng::Stream;
use crate::run::{Listener, RunDir, own_data};
use crate::sampling::Length;
use crate::sampling::Target;
use crate::train::{ChainStart, starts};

/// Figures by name.
pub type Figures = Map<String, Value>;

/// What a run is measured on.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// Another set than the run's own: its test images, else all of it.
    pub set: Option<Dataset>,
    /// At most so many images, drawn by the seed, each class by its share.
    pub limit: Option<usize>,
    /// Decides every draw.
    pub seed: u64,
    /// The folder for pictures and records; `evaluate` in the run's folder unless given.
    pub out: Option<PathBuf>,
}

/// A run and what it is measured on.
pub struct Subject<'a> {
    /// The run's folder.
    pub run: RunDir,
    /// Its network.
    pub loaded: Loaded,
    /// The folder for pictures and records.
    pub out: PathBuf,
    /// What the images are called.
    pub set: String,
    seed: u64,
    limit: Option<usize>,
    /// The set of --data; the run's own images without one.
    named: Option<Dataset>,
    data: OnceCell<DataSet>,
    test: OnceCell<Images>,
    conditional: OnceCell<((i64, ChainStart, Length), Made)>,
    pub(super) listener: &'a dyn Listener,
}

impl<'a> Subject<'a> {
    /// Of a run that is loaded; images are loaded when a part asks for them. The listener hears
    /// what is measured on, and of chains and attacks.
    pub fn new(loaded: Loaded, measured: Measured, listener: &'a dyn Listener) -> Self {
        let run = loaded.run.clone();
        let dataset = measured.set.as_ref().unwrap_or(&loaded.trained.experiment.data.dataset);
        Self {
            out: measured.out.unwrap_or_else(|| run.path().join("evaluate")),
            set: data::name(dataset),
            run,
            loaded,
            seed: measured.seed,
            limit: measured.limit,
            named: measured.set,
            data: OnceCell::new(),
            test: OnceCell::new(),
            conditional: OnceCell::new(),
            listener,
        }
    }

    /// What was evaluated, for the record.
    pub fn figures(&self) -> Figures {
        let mut figures = Figures::new();
        figures.insert("run".into(), json!(self.run.path().display().to_string()));
        figures.insert("step".into(), json!(self.loaded.trained.step));
        figures.insert("weights".into(), json!(self.loaded.weights.word()));
        figures.insert("data".into(), json!(self.set));
        if let Some(images) = self.test.get() {
            figures.insert("measured_on".into(), json!(self.measured_words(images.len())));
        }
        figures.insert("seed".into(), json!(self.seed));
        figures
    }

    /// A stream of this evaluation.
    pub fn stream(&self, name: &str) -> Stream {
        Stream::new(self.seed, &format!("evaluate {name}"))
    }

    /// The classes of the run; `what` is what asks for them.
    ///
    /// # Errors
    /// When the network gives an energy alone.
    pub fn classes(&self, what: &str) -> Result<Classes> {
        Classes::of(&self.run, &self.loaded.trained, what)
    }

    /// The run's own data.
    fn own(&self) -> Result<&DataSet> {
        if let Some(data) = self.data.get() {
            return Ok(data);
        }
        if !self.loaded.has_data() {
            return Err(Error::input(
                self.run.path().display(),
                "the run was imported and names no images to measure on",
                "name them by --data, such as --data mnist",
            ));
        }
        let data = self.loaded.data(false)?;
        Ok(self.data.get_or_init(|| data))
    }

    /// The images to measure on, of which --limit draws some; what they are is said once.
    ///
    /// # Errors
    /// Images that are not there or cannot be read.
    pub fn test(&self) -> Result<Images> {
        if let Some(images) = self.test.get() {
            return Ok(images.shallow_clone());
        }
        let of_images = self.loaded.image().is_ok();
        let images = match &self.named {
            Some(_) if !of_images => {
                return Err(Error::input(
                    "--data",
                    "names images, and the run's states are points",
                    "leave it out: points are measured on the run's own test points",
                ));
            }
            Some(set) => data::test_images(set, &self.wanted())?,
            None => self.own()?.test.sampled(self.limit, self.seed)?,
        };
        let images = self.ensure_any(images, "test")?;
        let mut words = format!(
            "measured on {}: {}",
            shown(&self.set),
            self.measured_words(images.len())
        );
        if of_images {
            let own = &self.loaded.trained.experiment.data.dataset;
            let fit = self.loaded.fit_words(self.named.as_ref().unwrap_or(own));
            words += &format!("; {fit}");
        }
        self.listener.says(&words);
        Ok(self.test.get_or_init(|| images).shallow_clone())
    }

    /// The training images, of which --limit draws some.
    ///
    /// # Errors
    /// As of [`test`](Self::test), and images that were drawn otherwise when the run was trained.
    pub fn train(&self) -> Result<Images> {
        let images = match &self.named {
            Some(set) => data::training_images(set, &self.wanted())?,
            None => {
                let data = self.own()?;
                own_data::ensure_same_limit(&self.run, &data.record)?;
                data.train.sampled(self.limit, self.seed)?
            }
        };
        self.ensure_any(images, "training")
    }

    /// Whether the test images are others than the training images.
    pub fn has_test_apart(&self) -> bool {
        self.named.as_ref().is_none_or(data::has_own_test)
    }

    /// What the images of [`test`](Self::test) are: a set without test images of its own is
    /// measured as a whole.
    pub fn part_word(&self) -> &'static str {
        match (self.loaded.image().is_ok(), self.has_test_apart()) {
            (true, true) => "test images",
            (true, false) => "images",
            (false, _) => "test points",
        }
    }

    /// How many images are measured on, and whether they are all.
    fn measured_words(&self, images: i64) -> String {
        let part = self.part_word();
        match self.limit {
            Some(limit) if limit as i64 <= images => format!("{images} {part}, drawn by --limit"),
            _ => format!("all {images} {part}"),
        }
    }

    fn wanted(&self) -> Wanted<'_> {
        self.loaded.wanted(self.limit, self.seed)
    }

    fn ensure_any(&self, images: Images, part: &str) -> Result<Images> {
        match images.is_empty() {
            true => Err(Error::input(
                &self.set,
                format!("has no {part} images"),
                "measure on others (--data, of images), or on a run with some",
            )),
            false => Ok(images),
        }
    }

    /// Labelled test images whose classes are those of the run.
    ///
    /// # Errors
    /// Images without labels, or of other classes.
    pub fn labelled(&self, classes: &Classes) -> Result<Images> {
        let test = self.test()?;
        let Some(_) = &test.labels else {
            return Err(Error::input(
                &self.set,
                "has no labels, which classification is measured by",
                "name labelled images by --data, or leave this part out by --parts",
            ));
        };
        let Some(images) = classes.number(&test) else {
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
        };
        Ok(images)
    }

    /// `n` images synthesised by chains of this length.
    ///
    /// # Errors
    /// Starts that are not there, and chains that are not finite.
    pub fn synthesised(&self, n: i64, from: ChainStart, length: Length) -> Result<Made> {
        self.chains(n, from, length, &Target::Any)
    }

    /// `n` images synthesised by class, with the classes `[n]`, which take turns. Made once, where
    /// two parts ask for the same.
    ///
    /// # Errors
    /// As of [`synthesised`](Self::synthesised).
    pub fn by_class(&self, n: i64, from: ChainStart, length: Length) -> Result<(Made, Tensor)> {
        let count = self.loaded.trained.model.classes().unwrap_or(1);
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

    fn chains(&self, n: i64, from: ChainStart, length: Length, target: &Target) -> Result<Made> {
        let trained = &self.loaded.trained;
        memory::ensure_images("-n", n, trained.experiment.model.input(), self.loaded.device)?;
        let mut rng = self.stream("samples");
        let starts = starts(from, &self.run, trained, n, target.first_classes(), &mut rng)?;
        let steps = length.whole() as u64;
        let listener = self.listener;
        listener.begins((n as u64).saturating_mul(steps.max(1)));
        listener.says(&format!("synthesising {n} images by chains of {length} ..."));
        let mut watch = |first: i64, k: usize, x: &Tensor| {
            let before = (first as u64).saturating_mul(steps);
            listener.reaches(before.saturating_add((k as u64).saturating_mul(x.size()[0] as u64)));
        };
        let experiment = &trained.experiment;
        let chains = experiment.synthesis(&*trained.model)?;
        let x = chains.run(target, &starts, length, &mut rng, &mut watch);
        listener.ends();
        let x = x?;
        Ok(Made {
            images: data::to_u8(&x),
            starts: data::to_u8(&starts),
        })
    }
}

//! What is evaluated: a run's network, the images it is held against, and images synthesised from it.

use std::cell::OnceCell;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tch::{Kind, Tensor};

use crate::cli::classes::Classes;
use crate::cli::judging::Loaded;
use crate::cli::model::Choice;
use crate::cli::progress::{Progress, say};
use crate::cli::sets;
use crate::data::Dataset;
use crate::data::{self, DataSet, Images, Wanted};
use crate::error::{Error, Result, shown};
use crate::experiment::Experiment;
use crate::experiment::memory;
use crate::rng::Stream;
use crate::sampling::Length;
use crate::sampling::Target;
use crate::train::RunDir;
use crate::train::own_data;
use crate::train::{ChainStart, starts};

/// Figures by name.
pub type Figures = Map<String, Value>;

#[derive(clap::Args)]
pub struct Options {
    /// The folder of a run
    run: PathBuf,
    /// Images to measure on: the test images of a set that has its own (a named one, say), else all
    /// of a folder, a .npy or an idx stack; the run's own test images unless given
    #[arg(long, value_name = "SET")]
    data: Option<String>,
    /// At most so many images, drawn by --seed, each class by its share; all unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    limit: Option<i64>,
    /// Decides every draw
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The folder for pictures and evaluation.json; RUN/evaluate unless given
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
}

/// A run and what it is measured on.
pub struct Subject {
    pub run: RunDir,
    pub loaded: Loaded,
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
    ///
    /// `change` changes the run's sampler for the chains of this evaluation.
    pub fn new(args: &Options, change: impl FnOnce(&mut Experiment) -> Result<()>) -> Result<Self> {
        let run = RunDir::open(&args.run)?;
        let mut loaded = Loaded::new(&run, &args.choice)?;
        // Scores are of the run as it was trained: they were made ready before the sampler changes.
        change(&mut loaded.trained.experiment)?;
        let named = args.data.as_deref().map(sets::dataset).transpose()?;
        let dataset = named.as_ref().unwrap_or(&loaded.trained.experiment.data.dataset);
        Ok(Self {
            out: args.out.clone().unwrap_or_else(|| run.path().join("evaluate")),
            set: data::name(dataset),
            run,
            loaded,
            seed: args.seed,
            limit: args.limit.map(|n| n as usize),
            named,
            data: OnceCell::new(),
            test: OnceCell::new(),
            conditional: OnceCell::new(),
        })
    }

    /// What was evaluated, for the record.
    pub fn figures(&self, args: &Options) -> Figures {
        let mut figures = Figures::new();
        figures.insert("run".into(), json!(self.run.path().display().to_string()));
        figures.insert("step".into(), json!(self.loaded.trained.step));
        figures.insert("weights".into(), json!(args.choice.weights_word()));
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
    pub fn test(&self) -> Result<Images> {
        if let Some(images) = self.test.get() {
            return Ok(images.shallow_clone());
        }
        let images = match &self.named {
            Some(set) => data::test_images(set, &self.wanted())?,
            None => self.own()?.test.sampled(self.limit, self.seed)?,
        };
        let images = self.ensure_any(images, "test")?;
        let own = &self.loaded.trained.experiment.data.dataset;
        say(&format!(
            "measured on {}: {}; {}",
            shown(&self.set),
            self.measured_words(images.len()),
            self.loaded.fit_words(self.named.as_ref().unwrap_or(own))
        ));
        Ok(self.test.get_or_init(|| images).shallow_clone())
    }

    /// The training images, of which --limit draws some.
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
        if self.has_test_apart() { "test images" } else { "images" }
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
                "name other images by --data",
            )),
            false => Ok(images),
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
        let Some(images) = numbered(&test, classes) else {
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
    pub fn synthesised(&self, n: i64, from: ChainStart, length: Length) -> Result<Made> {
        self.chains(n, from, length, &Target::Any)
    }

    /// `n` images synthesised by class, with the classes `[n]`, which take turns. Made once, where
    /// two parts ask for the same.
    pub fn by_class(&self, n: i64, from: ChainStart, length: Length) -> Result<(Made, Tensor)> {
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

    fn chains(&self, n: i64, from: ChainStart, length: Length, target: &Target) -> Result<Made> {
        let trained = &self.loaded.trained;
        memory::ensure_images("-n", n, trained.experiment.model.input, self.loaded.device)?;
        let mut rng = self.stream("samples");
        let starts = starts(from, &self.run, trained, n, target.first_classes(), &mut rng)?;
        let steps = length.whole() as u64;
        let progress = Progress::new((n as u64).saturating_mul(steps.max(1)), 0);
        progress.say(&format!("synthesising {n} images by chains of {length} ..."));
        let mut watch = |first: i64, k: usize, x: &Tensor| {
            let before = (first as u64).saturating_mul(steps);
            progress.at(before.saturating_add((k as u64).saturating_mul(x.size()[0] as u64)));
        };
        let experiment = &trained.experiment;
        let chains = experiment.synthesis(&trained.network);
        let x = chains.run(target, &starts, length, &mut rng, &mut watch)?;
        progress.finish();
        Ok(Made {
            images: data::to_u8(&x),
            starts: data::to_u8(&starts),
        })
    }
}

/// The images with the labels that the network gives their classes; none where it does not know one
/// of them.
fn numbered(images: &Images, classes: &Classes) -> Option<Images> {
    if !classes.known {
        return (images.classes.len() == classes.len()).then(|| images.shallow_clone());
    }
    let number = |name: &String| classes.names.iter().position(|n| n == name);
    let numbers: Option<Vec<i64>> = images.classes.iter().map(|c| number(c).map(|i| i as i64)).collect();
    let numbers = Tensor::from_slice(&numbers?).to_device(images.device());
    Some(Images {
        labels: images.labels.as_ref().map(|l| numbers.index_select(0, l)),
        classes: classes.names.clone(),
        ..images.shallow_clone()
    })
}

//! An independent classifier that looks at synthesised images, and the figures of both views.

use std::path::Path;

use serde_json::{Map, Value, json};
use tch::{Device, Tensor};

use super::classes::Classes;
use crate::energy::Outputs;
use crate::error::{Error, Result};
use crate::eval::{self, Agreement};
use crate::files;
use crate::models::{Form, FrozenModel};
use crate::report;
use crate::run::{self, RunDir, Trained, Weights, Which};

/// Who judges images where no other classifier does.
const ITSELF: &str = "the network that drew the images, whose chains sought just this: no measure of them";

/// Images that are classified together.
const BATCH: usize = 500;

/// A classifier's run that judges images of another run.
#[derive(Debug)]
pub struct Referee {
    model: Box<dyn FrozenModel>,
    run: String,
}

impl Referee {
    /// Loads the averaged weights of the last checkpoint.
    ///
    /// # Errors
    /// When the run is no classifier, or of other images or classes than those that it is to judge.
    pub fn open(path: &Path, trained: &Trained, classes: &Classes, device: Device) -> Result<Self> {
        let run = RunDir::open(path)?;
        let judge = run::load(&run, Which::Last, Weights::Ema, device)?;
        let own = Classes::of(&run, &judge, "--judge")?;
        let (input, wanted) = (judge.experiment.model.input(), trained.experiment.model.input());
        if input != wanted {
            return Err(Error::file(
                path,
                format!("judges images of {input:?} (channels, height, width), these are {wanted:?}"),
                "give --judge a classifier of the same images",
            ));
        }
        let known = own.known && classes.known;
        if own.len() != classes.len() || (known && own.names != classes.names) {
            return Err(Error::file(
                path,
                format!(
                    "tells {} classes apart ({}), the images are of {} ({})",
                    own.len(),
                    own.listed(),
                    classes.len(),
                    classes.listed()
                ),
                "give --judge a classifier of the same classes in the same order",
            ));
        }
        Ok(Self {
            model: judge.model.freeze(Form::plain(1.0)),
            run: path.display().to_string(),
        })
    }
}

/// How often predicted classes are the asked ones: the network's own view, and that of a judge.
#[derive(Debug)]
pub struct Views {
    /// What the network that made the images sees in them.
    pub own: Agreement,
    /// What the judge sees, with the name of its run.
    pub judge: Option<(String, Agreement)>,
}

impl Views {
    /// Both views of u8 images `[N,C,H,W]` that were asked to be of `asked` `[N]`, i64;
    /// `names` is a name a class.
    ///
    /// # Errors
    /// When logits are not finite.
    pub fn new(
        trained: &Trained,
        judge: Option<&Referee>,
        images: &Tensor,
        asked: &Tensor,
        names: &[String],
    ) -> Result<Self> {
        let view = |model: &dyn Outputs| {
            let logits = eval::outputs(&|x| Ok(model.raw(x)), &images.to_device(asked.device()), BATCH)?;
            Agreement::new(&logits, asked, names)
        };
        let own = view(trained.model.freeze(Form::plain(1.0)).outputs())?;
        let judge = judge
            .map(|j| Ok::<_, Error>((j.run.clone(), view(j.model.outputs())?)))
            .transpose()?;
        Ok(Self { own, judge })
    }

    /// Writes the figures as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(&json!(self.json())).expect("figures always serialise");
        files::write_atomic(path, text.as_bytes())
    }

    /// The figures by name.
    pub fn json(&self) -> Map<String, Value> {
        let mut map = Map::new();
        let mut own = json!(self.own);
        own["judged_by"] = json!(ITSELF);
        own["independent"] = json!(false);
        map.insert("own".into(), own);
        if let Some((run, agreement)) = &self.judge {
            let mut value = json!(agreement);
            value["run"] = json!(run);
            value["independent"] = json!(true);
            map.insert("judge".into(), value);
        }
        map
    }
}

/// A table, a row a class and one for all.
impl std::fmt::Display for Views {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let row = |class: &str, images: usize, own: f64, judge: Option<f64>| {
            let mut cells = vec![class.to_owned(), images.to_string(), format!("{own:.4}")];
            cells.extend(judge.map(|share| format!("{share:.4}")));
            cells
        };
        let judge = self.judge.as_ref().map(|(_, a)| a);
        let mut rows: Vec<_> = (0..self.own.classes.len())
            .map(|i| {
                let own = &self.own.classes[i];
                row(&own.class, own.images, own.share, judge.map(|a| a.classes[i].share))
            })
            .collect();
        rows.push(row("all", self.own.images, self.own.overall, judge.map(|a| a.overall)));
        let mut header = vec![
            "asked class".to_owned(),
            "images".into(),
            "seen by the network that drew them".into(),
        ];
        header.extend(self.judge.as_ref().map(|(run, _)| format!("seen by {run}")));
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        f.write_str(&report::table(&header, &rows))?;
        match self.judge {
            Some(_) => Ok(()),
            None => write!(
                f,
                "\nThe chains went where this very network sees the class that was asked for: its share says nothing of the images.\nName the run of an independent classifier by --judge RUN.\n"
            ),
        }
    }
}

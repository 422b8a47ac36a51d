//! The options of `ebm sample` that ask for classes, and what they come to.

use std::path::PathBuf;

use serde_json::json;
use tch::{Device, Tensor};

use super::classes::{Classes, repeated};
use super::referee::{Referee, Views};
use crate::error::Result;
use crate::files;
use crate::files::ensure_writable;
use crate::sampling::{Target, captions};
use crate::train::{RunDir, Trained};

/// Images, where --classes does not say how many of each.
const IMAGES: i64 = 64;
/// Images of each of several classes.
const A_CLASS: i64 = 8;

#[derive(clap::Args)]
pub struct Conditional {
    /// Images of one class, by its name or number: chains move by E(x,y) of a classifier's run
    #[arg(long, group = "asked", value_name = "CLASS")]
    class: Option<String>,
    /// -n images of each of these classes (all, or a list such as 0,3,7), a row a class
    #[arg(long, group = "asked", value_name = "CLASSES")]
    classes: Option<String>,
    /// From one class to another: chains move by E(x,A) over the first half of their steps, then by
    /// (1 - w) E(x,A) + w E(x,B) with a w that rises linearly to 1 at the last step; also writes the second half as a strip
    #[arg(long, group = "asked", value_name = "A,B")]
    interpolate: Option<String>,
    /// The run of an independent classifier that says which classes it sees in the images
    #[arg(long, requires = "asked", value_name = "RUN")]
    judge: Option<PathBuf>,
    /// Write how often the asked class was seen, as JSON
    #[arg(long, requires = "asked", value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What is to be sampled.
pub struct Request {
    /// What the chains move by.
    pub target: Target,
    /// How many there are.
    pub images: i64,
    /// How many stand in a row of a grid; none for a square.
    pub columns: Option<usize>,
    asked: Option<Asked>,
}

/// The classes that were asked for, and who judges the outcome.
struct Asked {
    /// The class each image is to be of in the end, `[N]`, i64.
    wanted: Tensor,
    names: Vec<String>,
    judge: Option<Referee>,
    json: Option<PathBuf>,
}

impl Conditional {
    /// The request that the options make, `n` being -n; everything that can be refused is refused here.
    ///
    /// # Errors
    /// Unknown classes, a network without classes, a judge that does not fit.
    pub fn request(&self, run: &RunDir, trained: &Trained, n: Option<i64>, device: Device) -> Result<Request> {
        self.json.iter().try_for_each(|path| ensure_writable(path))?;
        let Some(option) = self.option() else {
            return Ok(Request {
                target: Target::Any,
                images: n.unwrap_or(IMAGES),
                columns: None,
                asked: None,
            });
        };
        let classes = Classes::of(run, trained, option)?;
        let (target, wanted, columns) = self.target(&classes, n, device)?;
        let judge = self.judge.as_deref();
        let judge = judge
            .map(|path| Referee::open(path, trained, &classes, device))
            .transpose()?;
        Ok(Request {
            target,
            images: wanted.size()[0],
            columns,
            asked: Some(Asked {
                wanted,
                names: classes.names,
                judge,
                json: self.json.clone(),
            }),
        })
    }

    /// The option by which classes are asked for.
    fn option(&self) -> Option<&'static str> {
        let given = [
            (&self.class, "--class"),
            (&self.classes, "--classes"),
            (&self.interpolate, "--interpolate"),
        ];
        given.iter().find(|(value, _)| value.is_some()).map(|(_, name)| *name)
    }

    /// What chains move by, what they are wanted to be of, and how many stand in a row.
    fn target(&self, classes: &Classes, n: Option<i64>, device: Device) -> Result<(Target, Tensor, Option<usize>)> {
        if let Some(words) = &self.interpolate {
            let [from, to] = classes
                .find_two(words)?
                .map(|c| repeated(&[c], n.unwrap_or(A_CLASS), device));
            let wanted = to.shallow_clone();
            return Ok((Target::Between { from, to }, wanted, None));
        }
        if let Some(words) = &self.classes {
            let n = n.unwrap_or(A_CLASS);
            let wanted = repeated(&classes.find_all(words)?, n, device);
            return Ok((Target::Classes(wanted.shallow_clone()), wanted, Some(n as usize)));
        }
        let class = classes.find(self.class.as_deref().unwrap_or_default())?;
        let wanted = repeated(&[class], n.unwrap_or(IMAGES), device);
        Ok((Target::Classes(wanted.shallow_clone()), wanted, None))
    }
}

impl Request {
    /// The names of the classes that were asked for, one an image; none where no class was.
    pub fn captions(&self) -> Vec<String> {
        let names = self.asked.as_ref().map_or(&[][..], |asked| &asked.names);
        captions(&self.target, names)
    }

    /// How often the asked class is seen in the images, u8 `[N,C,H,W]`, in words, and in the file
    /// that was asked for; nothing where no class was.
    pub fn judge(&self, trained: &Trained, images: &Tensor) -> Result<String> {
        let Some(asked) = &self.asked else {
            return Ok(String::new());
        };
        let views = Views::new(trained, asked.judge.as_ref(), images, &asked.wanted, &asked.names)?;
        if let Some(path) = &asked.json {
            let text = serde_json::to_string_pretty(&json!(views.json())).expect("figures always serialise");
            files::write_atomic(path, text.as_bytes())?;
        }
        Ok(views.to_string())
    }
}

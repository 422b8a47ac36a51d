//! Images that are asked for, of classes or of any, and what they come to.

use std::path::Path;

use tch::{Device, Tensor};

use super::classes::{Classes, repeated};
use super::referee::{Referee, Views};
use crate::error::Result;
use crate::run::{RunDir, Trained};
use crate::sampling::{Target, captions};

/// Images, where nothing says how many.
const IMAGES: i64 = 64;
/// Images of each of several classes.
const A_CLASS: i64 = 8;

/// The classes that are asked for, by the words of a person.
#[derive(Debug, Clone, Copy)]
pub enum Wish<'a> {
    /// None: chains move by E(x).
    Any,
    /// All images of this one, its name or number.
    Class(&'a str),
    /// So many of each of these, a list with commas or `all`.
    Classes(&'a str),
    /// From one class to another, as `A,B`.
    Interpolate(&'a str),
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
}

impl Wish<'_> {
    /// The option of the program that asks for classes so.
    fn option(&self) -> Option<&'static str> {
        match self {
            Self::Any => None,
            Self::Class(_) => Some("--class"),
            Self::Classes(_) => Some("--classes"),
            Self::Interpolate(_) => Some("--interpolate"),
        }
    }

    /// What chains move by, what they are wanted to be of, and how many stand in a row.
    fn target(&self, classes: &Classes, n: Option<i64>, device: Device) -> Result<(Target, Tensor, Option<usize>)> {
        match *self {
            Self::Interpolate(words) => {
                let [from, to] = classes
                    .find_two(words)?
                    .map(|c| repeated(&[c], n.unwrap_or(A_CLASS), device));
                let wanted = to.shallow_clone();
                Ok((Target::Between { from, to }, wanted, None))
            }
            Self::Classes(words) => {
                let n = n.unwrap_or(A_CLASS);
                let wanted = repeated(&classes.find_all(words)?, n, device);
                Ok((Target::Classes(wanted.shallow_clone()), wanted, Some(n as usize)))
            }
            Self::Class(_) | Self::Any => {
                let word = if let Self::Class(word) = *self { word } else { "" };
                let wanted = repeated(&[classes.find(word)?], n.unwrap_or(IMAGES), device);
                Ok((Target::Classes(wanted.shallow_clone()), wanted, None))
            }
        }
    }
}

impl Request {
    /// `n` images by a wish, of each class where it is of several; `judge` is the run of a
    /// classifier that looks at them. Everything that can be refused is refused here.
    ///
    /// # Errors
    /// Unknown classes, a network without classes, a judge that does not fit.
    pub fn new(run: &RunDir, trained: &Trained, wish: &Wish, n: Option<i64>, judge: Option<&Path>) -> Result<Self> {
        let Some(option) = wish.option() else {
            return Ok(Self {
                target: Target::Any,
                images: n.unwrap_or(IMAGES),
                columns: None,
                asked: None,
            });
        };
        let device = trained.model.device();
        let classes = Classes::of(run, trained, option)?;
        let (target, wanted, columns) = wish.target(&classes, n, device)?;
        let judge = judge
            .map(|path| Referee::open(path, trained, &classes, device))
            .transpose()?;
        Ok(Self {
            target,
            images: wanted.size()[0],
            columns,
            asked: Some(Asked {
                wanted,
                names: classes.names,
                judge,
            }),
        })
    }

    /// The names of the classes that were asked for, one an image; none where no class was.
    pub fn captions(&self) -> Vec<String> {
        let names = self.asked.as_ref().map_or(&[][..], |asked| &asked.names);
        captions(&self.target, names)
    }

    /// How often the asked class is seen in the images, u8 `[N,C,H,W]`; nothing where no class was.
    ///
    /// # Errors
    /// When logits are not finite.
    pub fn judge(&self, trained: &Trained, images: &Tensor) -> Result<Option<Views>> {
        let view = |asked: &Asked| Views::new(trained, asked.judge.as_ref(), images, &asked.wanted, &asked.names);
        self.asked.as_ref().map(view).transpose()
    }
}

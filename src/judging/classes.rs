//! Classes as a person names them, the names that a run knows, and what asks for a classifier.

use tch::{Device, Kind, Tensor};

use crate::data::{Images, SplitRecord};
use crate::error::{Error, Result};
use crate::run::own_data::DATA;
use crate::run::{RunDir, Trained};

/// The classes that a run's network tells apart.
#[derive(Debug)]
pub struct Classes {
    /// The run, as errors name it.
    place: String,
    /// A name a class; its number where the run knows no name.
    pub names: Vec<String>,
    /// Whether the run knows the names.
    pub known: bool,
}

impl Classes {
    /// The classes of a run whose network gives logits; `option` is what asks for them.
    ///
    /// # Errors
    /// When the network gives an energy alone.
    pub fn of(run: &RunDir, trained: &Trained, option: &str) -> Result<Self> {
        let place = run.path().display().to_string();
        let Some(count) = trained.model.classes() else {
            return Err(Error::input(
                &place,
                format!("{option} asks for classes, and the network of this run gives an energy alone"),
                format!("leave {option} out, or use the run of a classifier (`output: logits`)"),
            ));
        };
        let recorded = run.read_json::<SplitRecord>(DATA).map(|record| record.classes);
        let recorded = recorded.filter(|names| names.len() as i64 == count);
        Ok(Self {
            place,
            known: recorded.is_some(),
            names: recorded.unwrap_or_else(|| (0..count).map(|i| i.to_string()).collect()),
        })
    }

    /// How many there are.
    #[allow(clippy::len_without_is_empty)] // a classifier has classes
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// The number of one class, given by its name or, where no class is called so, by its number.
    ///
    /// # Errors
    /// When there is no such class.
    pub fn find(&self, word: &str) -> Result<i64> {
        let named = self.names.iter().position(|n| n == word);
        let numbered = || word.parse::<usize>().ok().filter(|i| *i < self.len());
        named.or_else(numbered).map(|i| i as i64).ok_or_else(|| {
            Error::input(
                &self.place,
                format!("has no class `{word}`"),
                format!(
                    "give a number from 0 to {} or a name: {}",
                    self.len() - 1,
                    self.listed()
                ),
            )
        })
    }

    /// The numbers of several classes, separated by commas, or of `all`.
    ///
    /// # Errors
    /// When one is unknown, or given twice.
    pub fn find_all(&self, words: &str) -> Result<Vec<i64>> {
        if words == "all" {
            return Ok((0..self.len() as i64).collect());
        }
        let found = words
            .split(',')
            .map(|w| self.find(w.trim()))
            .collect::<Result<Vec<_>>>()?;
        let twice = found.iter().enumerate().find(|(i, c)| found[..*i].contains(c));
        match twice {
            None => Ok(found),
            Some((_, class)) => Err(Error::input(
                &self.place,
                format!("the class `{}` was asked for twice", self.names[*class as usize]),
                "name each class once",
            )),
        }
    }

    /// Two classes, separated by a comma.
    ///
    /// # Errors
    /// When there are not two different ones.
    pub fn find_two(&self, words: &str) -> Result<[i64; 2]> {
        match self.find_all(words)?[..] {
            [a, b] => Ok([a, b]),
            ref found => Err(Error::input(
                &self.place,
                format!(
                    "--interpolate goes between two classes, `{words}` names {}",
                    found.len()
                ),
                "name two, such as 3,8",
            )),
        }
    }

    /// The images with the labels that the network gives their classes; none where it does not know
    /// one of them.
    pub fn number(&self, images: &Images) -> Option<Images> {
        if !self.known {
            return (images.classes.len() == self.len()).then(|| images.shallow_clone());
        }
        let number = |name: &String| self.names.iter().position(|n| n == name);
        let numbers: Option<Vec<i64>> = images.classes.iter().map(|c| number(c).map(|i| i as i64)).collect();
        let numbers = Tensor::from_slice(&numbers?).to_device(images.device());
        Some(Images {
            labels: images.labels.as_ref().map(|l| numbers.index_select(0, l)),
            classes: self.names.clone(),
            ..images.shallow_clone()
        })
    }

    /// Some names, for a message.
    pub fn listed(&self) -> String {
        const MOST: usize = 20;
        let shown = self.names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
        if self.len() > MOST { shown + ", ..." } else { shown }
    }
}

/// Each class `n` times, one class after the other, i64 `[len * n]`.
pub fn repeated(classes: &[i64], n: i64, device: Device) -> Tensor {
    let each = Tensor::from_slice(classes).to_device(device);
    each.repeat_interleave_self_int(n, 0, None).to_kind(Kind::Int64)
}

//! The options of `ebm sample` that ask for classes.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::files::ensure_writable;
use crate::judging::{Request, Views, Wish};
use crate::run::{RunDir, Trained};

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

impl Conditional {
    /// The request that the options make, `n` being -n; everything that can be refused is refused
    /// here.
    ///
    /// # Errors
    /// Those of [`Request::new`], and a file that cannot be written.
    pub fn request(&self, run: &RunDir, trained: &Trained, n: Option<i64>) -> Result<Request> {
        self.json.iter().try_for_each(|path| ensure_writable(path))?;
        Request::new(run, trained, &self.wish(), n, self.judge.as_deref())
    }

    /// Writes the file that was asked for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, views: &Views) -> Result<()> {
        self.json.as_deref().map_or(Ok(()), |path: &Path| views.write(path))
    }

    fn wish(&self) -> Wish<'_> {
        match (&self.class, &self.classes, &self.interpolate) {
            (Some(class), ..) => Wish::Class(class),
            (_, Some(classes), _) => Wish::Classes(classes),
            (.., Some(between)) => Wish::Interpolate(between),
            _ => Wish::Any,
        }
    }
}

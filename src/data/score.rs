//! What `ebm score` reads: pictures, folders of them, idx and .npy stacks, one image after another.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use tch::{Kind, Tensor};

use super::config::FitRule;
use super::formats::detect::detect;
use super::formats::folder::Listing;
use super::formats::picture;
use super::formats::stack::StackReader;
use crate::error::Result;

/// Images from paths in the order given, decoded as they are asked for; only one is held at a time.
///
/// A path is a picture (of a film the first frame), a folder (all pictures below, sorted), or a stack.
/// Colours are converted and sizes fitted by the rule. Trouble with a file is an item; the rest goes on.
pub struct ScoreInput {
    waiting: VecDeque<PathBuf>,
    open: Option<StackReader>,
    index: usize,
    input: [i64; 3],
    rule: FitRule,
}

/// An image to score, or why there is none.
#[derive(Debug)]
pub struct ScoreItem {
    /// The file it comes from.
    pub path: PathBuf,
    /// Its number within the file.
    pub index: usize,
    /// u8 `[C,H,W]` of the model's shape, on the host.
    pub image: Result<Tensor>,
}

/// Some images to score at once, and the failures between them.
#[derive(Debug)]
pub struct ScoreBatch {
    /// Where each item comes from, in order: file, number within the file, and whether it failed.
    pub items: Vec<(PathBuf, usize, Result<()>)>,
    /// u8 `[n,C,H,W]`, the images of the items that did not fail.
    pub images: Tensor,
}

impl ScoreInput {
    /// Reads nothing yet.
    pub fn new(paths: &[PathBuf], input: [i64; 3], rule: FitRule) -> Self {
        Self {
            waiting: paths.iter().cloned().collect(),
            open: None,
            index: 0,
            input,
            rule,
        }
    }

    /// The next at most `n` items together; `None` at the end.
    pub fn next_batch(&mut self, n: usize) -> Option<ScoreBatch> {
        let mut items = Vec::new();
        let mut images = Vec::new();
        for item in self.by_ref().take(n.max(1)) {
            let outcome = item.image.map(|image| images.push(image));
            items.push((item.path, item.index, outcome));
        }
        let [c, h, w] = self.input;
        let images = match &images[..] {
            [] => Tensor::empty([0, c, h, w], (Kind::Uint8, tch::Device::Cpu)),
            some => Tensor::stack(some, 0),
        };
        (!items.is_empty()).then_some(ScoreBatch { items, images })
    }

    fn next_of_stack(&mut self) -> Option<ScoreItem> {
        let reader = self.open.as_mut()?;
        let path = reader.stack.path.clone();
        let image = reader.next()?.and_then(|levels| {
            picture::fit_tensor(levels, self.input, self.rule).map_err(|what| picture::unfit(&path, what))
        });
        self.index += 1;
        Some(ScoreItem {
            path,
            index: self.index - 1,
            image,
        })
    }

    /// A picture of its own, or `None` where `path` is a folder or stack, whose images come next.
    fn picture(&mut self, path: &Path) -> Result<Option<Tensor>> {
        if path.is_dir() {
            let listing = Listing::without_classes(path)?;
            listing.files.into_iter().rev().for_each(|f| self.waiting.push_front(f));
            return Ok(None);
        }
        if let Some(stack) = detect(path, self.input)? {
            picture::ensure_entry(path, stack.shape, self.input[1])?;
            stack.warn_if_nearly_black()?;
            self.open = Some(stack.images()?);
            self.index = 0;
            return Ok(None);
        }
        picture::check_channels(path, self.input)?;
        let bytes = picture::read(path, self.input, self.rule)?;
        Ok(Some(Tensor::from_data_size(&bytes, &self.input, Kind::Uint8)))
    }
}

impl Iterator for ScoreInput {
    type Item = ScoreItem;

    fn next(&mut self) -> Option<ScoreItem> {
        loop {
            if let Some(item) = self.next_of_stack() {
                return Some(item);
            }
            self.open = None;
            let path = self.waiting.pop_front()?;
            if let Some(image) = self.picture(&path).transpose() {
                return Some(ScoreItem { path, index: 0, image });
            }
        }
    }
}

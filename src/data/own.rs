//! Whether the images of a run are still those that it was trained on, by the record that it keeps.

use std::path::PathBuf;

use super::split::{Digest, SourceRecord, SplitRecord};

/// What a comparison found where nothing speaks against the images.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// Folders whose files have the names and sizes that they had, and whose contents were not
    /// recorded.
    pub unhashed: Vec<PathBuf>,
    /// `data.limit` takes other images of the same files than when they were recorded.
    pub other_limit: bool,
}

impl SplitRecord {
    /// Compares this record with one of the images as they are `now`; where they lie is of no
    /// account.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn compare(&self, now: &Self) -> Result<Kept, String> {
        if self.sources.len() != now.sources.len() {
            return Err("the data set is of other files".into());
        }
        // A set that is drawn by code has no files: its options say what it holds.
        if self.sources.is_empty() && self.dataset != now.dataset {
            return Err("the data set is another one".into());
        }
        let mut kept = Kept::default();
        for (then, now) in self.sources.iter().zip(&now.sources) {
            if !then.compare(now)? {
                kept.unhashed.push(now.path.clone());
            }
        }
        self.compare_split(now)?;
        kept.other_limit = self.limit_sha256.is_none() && now.limit_sha256.is_some();
        match self.limit_sha256 != now.limit_sha256 && !kept.other_limit {
            true => Err("data.limit takes other images".into()),
            false => Ok(kept),
        }
    }

    fn compare_split(&self, now: &Self) -> Result<(), String> {
        if self.shape != now.shape {
            return Err(format!("images were {:?}, they are {:?}", self.shape, now.shape));
        }
        if self.classes != now.classes {
            return Err("the classes have other names".into());
        }
        for (part, then, now) in [
            ("training", self.train, now.train),
            ("validation", self.validation, now.validation),
            ("test", self.test, now.test),
        ] {
            if then != now {
                return Err(format!("there were {then} {part} images, there are {now}"));
            }
        }
        let held = |record: &Self| {
            let (validation, test) = (&record.validation_sha256, &record.test_sha256);
            (record.split_seed, validation.clone(), test.clone())
        };
        match held(self) == held(now) {
            true => Ok(()),
            false => Err("other images are held out".into()),
        }
    }
}

impl SourceRecord {
    /// Whether contents were compared, of a file or folder that does not differ.
    fn compare(&self, now: &Self) -> Result<bool, String> {
        let path = now.path.display();
        match (&self.digest, &now.digest) {
            (Digest::Content { sha256: then }, Digest::Content { sha256: now }) if then == now => Ok(true),
            (
                Digest::Listing {
                    files,
                    sha256,
                    contents,
                },
                Digest::Listing {
                    files: files_now,
                    sha256: sha256_now,
                    contents: contents_now,
                },
            ) => {
                if files != files_now {
                    Err(format!("{path} held {files} pictures, it holds {files_now}"))
                } else if sha256 != sha256_now {
                    Err(format!("{path} holds pictures of other names or sizes"))
                } else if contents.is_some() && contents != contents_now {
                    Err(format!("pictures in {path} have other contents under the same names"))
                } else {
                    Ok(contents.is_some())
                }
            }
            _ => Err(format!("{path} has another content")),
        }
    }
}

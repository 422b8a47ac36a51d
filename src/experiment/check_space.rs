//! Checks of what is about images alone, where states are points, and the other way round.

use super::Experiment;
use crate::config::Checker;
use crate::data::Augment;
use crate::error::Result;

impl Experiment {
    pub(super) fn check_space(&self, c: &Checker) -> Result<()> {
        let space = self.space();
        if space.image().is_some() {
            return match self.data.dataset.points() {
                Some(points) => c.conflict(
                    "model.input",
                    &format!("is of images, and data.dataset.{points} gives points"),
                    "use an architecture file with `input: [2]`, or other data",
                ),
                None => Ok(()),
            };
        }
        let plain = Augment::default();
        let labelled = self.data.labelled_augment.as_ref().is_some_and(|a| *a != plain);
        let of_images = [
            ("data.augment", self.data.augment != plain),
            ("data.labelled_augment", labelled),
            ("buffer.augment", self.buffer.augment.is_some()),
            ("evaluate.ood", !self.evaluate.ood.is_empty()),
        ];
        for (key, _) in of_images.iter().filter(|asked| asked.1) {
            c.conflict(
                key,
                "is of images, and the states of this model are points",
                "leave this key out",
            )?;
        }
        Ok(())
    }
}

//! Points of a toy density as a data set.

use tch::Device;

use super::Images;
use super::config::ToyConfig;
use crate::rng::Stream;

impl ToyConfig {
    /// The training points, f32 `[N,2]`.
    pub(super) fn train(&self, device: Device) -> Images {
        self.draw(self.count, "toy-train", device)
    }

    /// The test points, a tenth as many, at least a thousand.
    pub(super) fn test(&self, device: Device) -> Images {
        self.draw((self.count / 10).max(1000), "toy-test", device)
    }

    fn draw(&self, count: usize, name: &str, device: Device) -> Images {
        let points = self.density.points(count as i64, &mut Stream::new(self.seed, name));
        Images::unlabelled(points.to_device(device))
    }
}

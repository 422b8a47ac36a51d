//! Features of images by which samples are compared with data, and the network that they come from.

use std::path::Path;

use tch::{CModule, Device, Kind, Tensor};

use super::{outputs, script_file};
use crate::config::yaml;
use crate::error::{Error, Result};
use crate::files;
use crate::nn::NetworkConfig;
use crate::nn::{Frozen, Network};
use crate::rng::Stream;

/// A network that turns images into features.
pub struct Features {
    net: Net,
    /// What the network is called in results.
    pub name: String,
    /// SHA-256 of the file that holds it; of a network of this program, of its weights as safetensors.
    pub sha256: String,
}

enum Net {
    /// What the last layer of a network of this program is given.
    Layers(Box<Frozen>),
    /// What a TorchScript module gives.
    Script(CModule, ScriptInput, String),
}

/// How a TorchScript module wants its images.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScriptInput {
    /// 1 or 3; grey is repeated to colour.
    pub channels: i64,
    /// Height and width; none leaves them as they are.
    pub size: Option<[i64; 2]>,
    /// The values of black and white.
    pub range: [f64; 2],
}

/// Three convolutions; the last layer is there only because features are what it is given.
const RANDOM: &str = "
name: random
input: [1, 1, 1]
init: kaiming-normal
layers:
  - conv: {out: 32, kernel: 3, padding: 1}
  - leaky_relu: {slope: 0.2}
  - avg_pool: {size: 2}
  - conv: {out: 64, kernel: 3, padding: 1}
  - leaky_relu: {slope: 0.2}
  - avg_pool: {size: 2}
  - conv: {out: 128, kernel: 3, padding: 1}
  - leaky_relu: {slope: 0.2}
  - global_avg_pool
  - linear: {out: 1}
";

impl Features {
    /// The features of a network of this program; `name` is what results call it.
    ///
    /// # Errors
    /// When its weights cannot be read back from the device.
    pub fn of_network(network: &Network, name: impl Into<String>) -> Result<Self> {
        let state = network.state().into_iter().collect();
        Ok(Self {
            net: Net::Layers(Box::new(network.frozen(Kind::Float))),
            name: name.into(),
            sha256: files::sha256(&files::encode(&state)?),
        })
    }

    /// The 128 features of a fixed network that was never trained: the same weights for every image of so many
    /// channels, everywhere. They see edges and textures, but know no objects.
    ///
    /// # Errors
    /// When images of this shape `[C,H,W]` are smaller than 4 x 4.
    pub fn random(shape: [i64; 3], device: Device) -> Result<Self> {
        let place = Path::new("random features");
        let mut model: NetworkConfig = yaml::typed(yaml::parse(RANDOM, place)?, place)?;
        model.input = shape.to_vec();
        let network = Network::new(&model, device, &mut Stream::new(0, "random features"))?;
        Self::of_network(
            &network,
            "a fixed random convolutional network (never trained, 3 convolutions)",
        )
    }

    /// What a TorchScript file gives for each image, `[B,D]` or flattened to it.
    ///
    /// Such a file is a program. Unless it is trusted, its code is looked through before any of it
    /// runs, and refused where it calls what reads or writes files, prints, or talks to other
    /// processes. That is no sandbox: what computes with tensors runs, and may take memory and time
    /// at will.
    ///
    /// # Errors
    /// When the file is not TorchScript, or reaches beyond tensors and is not trusted.
    pub fn script(path: &Path, input: ScriptInput, trusted: bool, device: Device) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::file(path, "no such file", "give a run or a TorchScript file"),
            _ => Error::io(path)(e),
        })?;
        // What was looked through is what is loaded, whatever else another reader might see in the
        // file.
        let looked_through = match trusted {
            true => None,
            false => Some(script_file::looked_through(&bytes, path)?),
        };
        let program = looked_through.as_ref().unwrap_or(&bytes);
        let mut module = CModule::load_data_on_device(&mut program.as_slice(), device)
            .map_err(|e| script_file::unreadable(path, &first_line(&e)))?;
        module.f_set_eval()?;
        Ok(Self {
            net: Net::Script(module, input, path.display().to_string()),
            name: path.display().to_string(),
            sha256: files::sha256(&bytes),
        })
    }

    /// The features `[N,D]`, f32, of images `[N,C,H,W]`, u8 or f32 in [-1, 1].
    ///
    /// # Errors
    /// When a TorchScript module refuses the images, or gives something else than a row of finite numbers an image.
    pub fn of(&self, images: &Tensor, batch: usize) -> Result<Tensor> {
        outputs(
            &|x| match &self.net {
                Net::Layers(network) => Ok(network.features(x)),
                Net::Script(module, input, place) => run_script(module, *input, place, x),
            },
            images,
            batch,
        )
    }

    /// The class probabilities `[N,K]`, f32, of a classifier of this program; none of a network without classes, or of a
    /// TorchScript module, of which nobody knows what its numbers are.
    ///
    /// # Errors
    /// LibTorch's.
    pub fn probabilities(&self, images: &Tensor, batch: usize) -> Result<Option<Tensor>> {
        match &self.net {
            Net::Layers(network) if network.classes().is_some() => {
                outputs(&|x| Ok(network.forward(x).softmax(1, Kind::Float)), images, batch).map(Some)
            }
            _ => Ok(None),
        }
    }
}

impl ScriptInput {
    /// Images in [-1, 1] as the module wants them; sizes by antialiased bilinear interpolation.
    ///
    /// # Errors
    /// When colour would have to become grey.
    pub fn prepare(&self, x: &Tensor, place: &str) -> Result<Tensor> {
        let [n, c, h, w] = x.size()[..] else {
            unreachable!("images have four dimensions")
        };
        let x = match (c, self.channels) {
            (from, to) if from == to => x.shallow_clone(),
            (1, 3) => x.expand([n, 3, h, w], false).contiguous(),
            (from, to) => {
                return Err(Error::input(
                    place,
                    format!("is to be given images of {to} channels, and these have {from}"),
                    "state the channels that it takes by --feature-input",
                ));
            }
        };
        let x = match self.size {
            Some(size) if size != [h, w] => x.f_internal_upsample_bilinear2d_aa(size, false, None, None)?,
            _ => x,
        };
        let [low, high] = self.range;
        Ok((x + 1.0) * ((high - low) / 2.0) + low)
    }
}

fn run_script(module: &CModule, input: ScriptInput, place: &str, x: &Tensor) -> Result<Tensor> {
    let images = input.prepare(x, place)?;
    let out = module.forward_ts(&[&images]).map_err(|e| {
        Error::input(
            place,
            format!("cannot be applied to images of {:?}: {}", images.size(), first_line(&e)),
            "state the images that it takes by --feature-input; it must give one tensor",
        )
    })?;
    let size = out.size();
    let form = size.len() >= 2 && size[0] == x.size()[0] && out.is_floating_point() && out.numel() > 0;
    if !form {
        return Err(Error::input(
            place,
            format!(
                "gives {:?} {size:?} for {} images; expected floats [B,D]",
                out.kind(),
                x.size()[0]
            ),
            "give a network with a row of features an image",
        ));
    }
    let rows = out.flatten(1, -1).to_kind(Kind::Float);
    if bool::try_from(rows.isfinite().all())? {
        return Ok(rows);
    }
    Err(Error::input(
        place,
        "gives features that are not finite",
        "state the images that it takes by --feature-input and --feature-range",
    ))
}

/// LibTorch's account without its stack.
fn first_line(error: &tch::TchError) -> String {
    let text = error.to_string();
    let line = |l: &&str| !l.trim().is_empty();
    let told: Vec<&str> = text.lines().filter(line).take(12).collect();
    let last = told.iter().rfind(|l| l.contains("Error") || l.contains("error"));
    last.or(told.first()).map_or_else(String::new, |l| l.trim().to_owned())
}

//! A picture file to pixels of the model's size: decoding, colours, and the fit rules.

use std::path::Path;

use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer, ImageDecoder, ImageReader, Luma, Pixel, Rgb, RgbaImage};
use tch::{Device, Kind, Tensor};

use super::pixels::{LUMA, convert_channels};
use super::stack::missing;
use crate::config::FitRule;
use crate::error::{Error, Result};

/// Names that are taken for pictures when a folder is read.
const EXTENSIONS: [&str; 6] = ["png", "jpg", "jpeg", "webp", "bmp", "gif"];

/// Whether a file's name is that of a picture.
pub(super) fn is_picture(path: &Path) -> bool {
    path.extension()
        .and_then(|e| e.to_str())
        .is_some_and(|e| EXTENSIONS.contains(&e.to_ascii_lowercase().as_str()))
}

/// Channels beyond grey and colour do not come from pictures.
pub(super) fn check_channels(place: &Path, input: [i64; 3]) -> Result<()> {
    if matches!(input[0], 1 | 3) {
        return Ok(());
    }
    Err(Error::file(
        place,
        format!("pictures have 1 or 3 channels, the model expects {}", input[0]),
        "give a .npy stack, or a model with 1 or 3 input channels",
    ))
}

/// The bytes `[C,H,W]` of a picture file (of a film its first frame), brought to the shape `input`.
pub(super) fn read(path: &Path, input: [i64; 3], rule: FitRule) -> Result<Vec<u8>> {
    let (mut decoder, orientation) = decoder(path)?;
    decoder
        .set_limits(image::Limits::default())
        .map_err(|e| undecodable(path, &e))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| undecodable(path, &e))?;
    picture.apply_orientation(orientation);
    fit(&picture, input, rule).map_err(|what| unfit(path, what))
}

/// Height and width of a picture as it is shown, from its header alone.
pub(super) fn size(path: &Path) -> Result<(i64, i64)> {
    let (decoder, orientation) = decoder(path)?;
    let (w, h) = decoder.dimensions();
    let turned = matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    );
    let (w, h) = if turned { (h, w) } else { (w, h) };
    Ok((i64::from(h), i64::from(w)))
}

fn decoder(path: &Path) -> Result<(impl ImageDecoder, Orientation)> {
    let reader = ImageReader::open(path).map_err(|e| missing(path, e))?;
    let reader = reader.with_guessed_format().map_err(Error::io(path))?;
    let mut decoder = reader.into_decoder().map_err(|e| undecodable(path, &e))?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, orientation))
}

fn undecodable(path: &Path, e: &image::ImageError) -> Error {
    Error::file(
        path,
        format!("does not decode as a PNG, JPEG, WebP, BMP or GIF: {e}"),
        "repair, replace or remove the file",
    )
}

/// The error of a picture or stack entry whose size or channels no rule brings to the model's.
pub(super) fn unfit(path: &Path, what: String) -> Error {
    Error::file(
        path,
        what,
        "bring it to the model's shape, or choose a fit rule (crop, stretch or pad)",
    )
}

/// u8 `[C,H,W]` on the host brought to the shape `input` by the rules for pictures.
pub(super) fn fit_tensor(levels: Tensor, input: [i64; 3], rule: FitRule) -> std::result::Result<Tensor, String> {
    let size = levels.size();
    if size == input {
        return Ok(levels);
    }
    if !matches!(size[0], 1 | 3) || !matches!(input[0], 1 | 3) {
        return Err(format!("expected an image of shape {input:?}, found {size:?}"));
    }
    let (h, w) = (size[1] as u32, size[2] as u32);
    let colour = levels
        .expand([3, size[1], size[2]], false)
        .permute([1, 2, 0])
        .contiguous();
    let mut bytes = vec![0; colour.numel()];
    colour.copy_data_u8(&mut bytes, colour.numel());
    let picture = ImageBuffer::from_raw(w, h, bytes).expect("as many bytes as the sizes say");
    let bytes = fit(&DynamicImage::ImageRgb8(picture), input, rule)?;
    Ok(Tensor::from_data_size(&bytes, &input, Kind::Uint8))
}

/// u8 `[N,C,H,W]` brought to the shape `input`: colours on the device, another size image by image on the host.
pub(super) fn fit_stack(levels: &Tensor, input: [i64; 3], rule: FitRule) -> std::result::Result<Tensor, String> {
    let [c, h, w] = input;
    let size = levels.size();
    if size[2..] == input[1..] {
        let unknown = || format!("expected {c} channels, found {}", size[1]);
        return convert_channels(levels, c).ok_or_else(unknown);
    }
    let mut fitted = vec![Tensor::zeros([0, c, h, w], (Kind::Uint8, Device::Cpu))];
    for image in levels.to_device(Device::Cpu).split(1, 0) {
        fitted.push(fit_tensor(image.squeeze_dim(0), input, rule)?.unsqueeze(0));
    }
    Ok(Tensor::cat(&fitted, 0).to_device(levels.device()))
}

/// Colours first, then the size; the bytes are `[C,H,W]`.
fn fit(picture: &DynamicImage, input: [i64; 3], rule: FitRule) -> std::result::Result<Vec<u8>, String> {
    let [channels, h, w] = input;
    let target = (w as u32, h as u32);
    let colour = over_white(picture);
    if channels == 1 {
        let grey = ImageBuffer::from_fn(colour.width(), colour.height(), |x, y| {
            Luma([luma(colour.get_pixel(x, y))])
        });
        return Ok(resize(grey, target, rule)?.into_raw());
    }
    let interleaved = resize(colour, target, rule)?.into_raw();
    Ok((0..3)
        .flat_map(|c| interleaved.iter().skip(c).step_by(3).copied())
        .collect())
}

fn luma(pixel: &Rgb<u8>) -> u8 {
    let sum: i64 = pixel.0.iter().zip(LUMA).map(|(v, weight)| i64::from(*v) * weight).sum();
    ((sum + 500) / 1000) as u8
}

fn over_white(picture: &DynamicImage) -> ImageBuffer<Rgb<u8>, Vec<u8>> {
    if !picture.color().has_alpha() {
        return picture.to_rgb8();
    }
    let rgba: RgbaImage = picture.to_rgba8();
    ImageBuffer::from_fn(rgba.width(), rgba.height(), |x, y| {
        let [r, g, b, a] = rgba.get_pixel(x, y).0.map(u32::from);
        Rgb([r, g, b].map(|v| ((v * a + 255 * (255 - a) + 127) / 255) as u8))
    })
}

type Buffer<P> = ImageBuffer<P, Vec<u8>>;

fn resize<P>(picture: Buffer<P>, target: (u32, u32), rule: FitRule) -> std::result::Result<Buffer<P>, String>
where
    P: Pixel<Subpixel = u8> + 'static,
{
    let size = picture.dimensions();
    if size == target {
        return Ok(picture);
    }
    match rule {
        FitRule::Exact => Err(format!(
            "expected {} x {} pixels (height x width), found {} x {}",
            target.1, target.0, size.1, size.0
        )),
        FitRule::Stretch => Ok(scale(&picture, target)),
        FitRule::Crop => {
            let (w, h) = largest_inside(target, size);
            let middle = imageops::crop_imm(&picture, (size.0 - w) / 2, (size.1 - h) / 2, w, h);
            Ok(scale(&middle.to_image(), target))
        }
        FitRule::Pad => {
            let (w, h) = largest_inside(size, target);
            let mut framed = ImageBuffer::new(target.0, target.1);
            let (x, y) = ((target.0 - w) / 2, (target.1 - h) / 2);
            imageops::replace(&mut framed, &scale(&picture, (w, h)), x.into(), y.into());
            Ok(framed)
        }
    }
}

/// The largest rectangle of the proportions of `shape` that fits into `frame`, at least a pixel wide.
fn largest_inside(shape: (u32, u32), frame: (u32, u32)) -> (u32, u32) {
    let factor = f64::min(
        f64::from(frame.0) / f64::from(shape.0),
        f64::from(frame.1) / f64::from(shape.1),
    );
    let side = |length: u32, limit: u32| ((f64::from(length) * factor).round() as u32).clamp(1, limit);
    (side(shape.0, frame.0), side(shape.1, frame.1))
}

/// Linear interpolation whose kernel widens with the scale, so that shrinking averages instead of skipping pixels.
fn scale<P>(picture: &Buffer<P>, (w, h): (u32, u32)) -> Buffer<P>
where
    P: Pixel<Subpixel = u8> + 'static,
{
    if picture.dimensions() == (w, h) {
        return picture.clone();
    }
    imageops::resize(picture, w, h, FilterType::Triangle)
}

//! Decoded colours to the pixels that a model takes: grey or colour, and the fit rules.

use image::imageops::{self, FilterType};
use image::{DynamicImage, GenericImageView, ImageBuffer, Luma, Pixel, Rgb};
use tch::{Device, Kind, Tensor};

use crate::data::config::FitRule;
use crate::data::pixels::{LUMA, convert_channels};

/// u8 `[C,H,W]` on the host brought to the shape `input` by the rules for pictures.
pub(in crate::data) fn fit_tensor(
    levels: Tensor,
    input: [i64; 3],
    rule: FitRule,
) -> std::result::Result<Tensor, String> {
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
    let bytes = fit(DynamicImage::ImageRgb8(picture), input, rule)?;
    Ok(Tensor::from_data_size(&bytes, &input, Kind::Uint8))
}

/// u8 `[N,C,H,W]` brought to the shape `input`: colours on the device, another size image by image
/// on the host.
pub(in crate::data) fn fit_stack(
    levels: &Tensor,
    input: [i64; 3],
    rule: FitRule,
) -> std::result::Result<Tensor, String> {
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
pub(super) fn fit(picture: DynamicImage, input: [i64; 3], rule: FitRule) -> std::result::Result<Vec<u8>, String> {
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

/// The picture itself where it has three bytes a pixel already, else a copy.
fn over_white(picture: DynamicImage) -> Buffer<Rgb<u8>> {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let rgba = picture.into_rgba8();
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
            Ok(scale(&*middle, target))
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

/// The largest rectangle of the proportions of `shape` that fits into `frame`, at least a pixel
/// wide.
fn largest_inside(shape: (u32, u32), frame: (u32, u32)) -> (u32, u32) {
    let factor = f64::min(
        f64::from(frame.0) / f64::from(shape.0),
        f64::from(frame.1) / f64::from(shape.1),
    );
    let side = |length: u32, limit: u32| ((f64::from(length) * factor).round() as u32).clamp(1, limit);
    (side(shape.0, frame.0), side(shape.1, frame.1))
}

/// Linear interpolation whose kernel widens with the scale, so that shrinking averages instead of
/// skipping pixels.
fn scale<P, I>(picture: &I, (w, h): (u32, u32)) -> Buffer<P>
where
    P: Pixel<Subpixel = u8> + 'static,
    I: GenericImageView<Pixel = P>,
{
    imageops::resize(picture, w, h, FilterType::Triangle)
}

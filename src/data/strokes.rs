//! A tiny set drawn by code: anti-aliased strokes (label 0) and discs (label 1), light on black.

use rand::RngExt;
use tch::{Device, Kind, Tensor};

use super::Images;
use super::config::StrokesConfig;
use crate::rng::Stream;

/// How many are drawn at once, which bounds the memory for it.
const BLOCK: usize = 4096;

/// The training images; labels take turns.
pub(super) fn train(cfg: &StrokesConfig, device: Device) -> Images {
    draw(cfg, cfg.count, "strokes-train", device)
}

/// The test images, a fifth as many, at least ten.
pub(super) fn test(cfg: &StrokesConfig, device: Device) -> Images {
    draw(cfg, (cfg.count / 5).max(10), "strokes-test", device)
}

fn draw(cfg: &StrokesConfig, count: usize, name: &str, device: Device) -> Images {
    let mut rng = Stream::new(cfg.seed, name).host();
    let blocks: Vec<Tensor> = (0..count)
        .step_by(BLOCK)
        .map(|from| {
            let shapes: Vec<[f32; 6]> = (from..count.min(from + BLOCK)).map(|i| shape(i, &mut rng)).collect();
            render(&shapes, cfg.size as i64, device)
        })
        .collect();
    let labels = Tensor::arange(count as i64, (Kind::Int64, device)).remainder(2);
    Images {
        pixels: Tensor::cat(&blocks, 0),
        labels: Some(labels),
        classes: vec!["stroke".into(), "disc".into()],
    }
}

/// Two ends, a half width and a brightness, lengths in sides of the image; a disc's ends are the same.
fn shape(number: usize, rng: &mut impl RngExt) -> [f32; 6] {
    let mut within = |low: f32, high: f32| low + (high - low) * rng.random::<f32>();
    let (x, y) = (within(0.35, 0.65), within(0.35, 0.65));
    let angle = within(0.0, std::f32::consts::PI);
    let length = within(0.15, 0.3);
    let (thin, thick) = (within(0.04, 0.08), within(0.12, 0.25));
    let light = within(0.8, 1.0);
    if number.is_multiple_of(2) {
        let (dx, dy) = (length * angle.cos(), length * angle.sin());
        [x - dx, y - dy, x + dx, y + dy, thin, light]
    } else {
        [x, y, x, y, thick, light]
    }
}

/// u8 [n,1,size,size]: a pixel is lit by how far its middle lies inside the shape, in pixels, between -1/2 and 1/2.
fn render(shapes: &[[f32; 6]], size: i64, device: Device) -> Tensor {
    let n = shapes.len() as i64;
    let table = Tensor::from_slice(shapes.as_flattened()).view([n, 6]).to_device(device);
    let column = |i: i64| table.narrow(1, i, 1).view([n, 1, 1]);
    let middles = (Tensor::arange(size, (Kind::Float, device)) + 0.5) / size as f64;
    let (px, py) = (middles.view([1, 1, size]), middles.view([1, size, 1]));
    let (ax, ay) = (column(0), column(1));
    let (dx, dy) = (column(2) - &ax, column(3) - &ay);
    let (qx, qy) = (px - ax, py - ay);
    let squared = (&dx * &dx + &dy * &dy).clamp_min(1e-12);
    let along = ((&qx * &dx + &qy * &dy) / squared).clamp(0.0, 1.0);
    let (rx, ry) = (qx - &along * dx, qy - along * dy);
    let distance = (&rx * &rx + &ry * &ry).sqrt();
    let lit = ((column(4) - distance) * size as f64 + 0.5).clamp(0.0, 1.0) * column(5);
    (lit * 255.0).round().to_kind(Kind::Uint8).unsqueeze(1)
}

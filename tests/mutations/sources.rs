//! Whole pictures and stacks of every format, and what an image of them looks like on its own.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::panic::catch_unwind;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

/// A file that is not damaged.
pub struct Source {
    /// With the extension of its format.
    pub name: String,
    pub bytes: Vec<u8>,
    /// How many of its bytes it cannot do without.
    pub needed: usize,
    /// Its images as PNG files; none where the program refuses the file as it is.
    pub images: Vec<Vec<u8>>,
}

impl Source {
    pub fn extension(&self) -> &str {
        self.name.rsplit('.').next().unwrap()
    }

    pub fn is_stack(&self) -> bool {
        matches!(self.extension(), "npy" | "idx")
    }
}

/// Pictures that are encoded here, those of `tests/golden/pictures`, and stacks.
pub fn all() -> Vec<Source> {
    let mut files = encoded();
    files.extend(stored());
    let mut sources: Vec<Source> = files.into_iter().map(|(name, bytes)| whole(name, bytes)).collect();
    sources.extend(stacks());
    sources
}

fn whole(name: String, bytes: Vec<u8>) -> Source {
    let Decoded::Picture(image) = decode(&bytes) else {
        panic!("{name} does not decode")
    };
    Source {
        // The byte that ends a film ends no image.
        needed: bytes.len() - usize::from(name.ends_with(".gif")),
        name,
        bytes,
        images: vec![png(&image)],
    }
}

/// A picture without symmetry, in colours whose rows and columns differ.
fn colours(seed: u32, w: u32, h: u32) -> DynamicImage {
    DynamicImage::ImageRgb8(RgbImage::from_fn(w, h, |x, y| {
        let wave = (seed + x * x + 3 * y * y + x * y) % 251;
        image::Rgb([(9 * x + seed) as u8, wave as u8, (12 * y + seed) as u8])
    }))
}

fn encoded() -> Vec<(String, Vec<u8>)> {
    let colour = |seed| colours(seed, 26, 20);
    let grey = DynamicImage::ImageLuma8(colour(40).to_luma8());
    let mut clear = colour(50).to_rgba8();
    clear
        .enumerate_pixels_mut()
        .for_each(|(x, _, pixel)| pixel.0[3] = (9 * x) as u8);
    let clear = DynamicImage::ImageRgba8(clear);
    let deep = DynamicImage::ImageRgb16(colour(60).to_rgb16());
    let files = [
        ("colour.png", colour(1), ImageFormat::Png),
        ("grey.png", grey.clone(), ImageFormat::Png),
        ("clear.png", clear.clone(), ImageFormat::Png),
        ("deep.png", deep, ImageFormat::Png),
        ("colour.jpg", colour(2), ImageFormat::Jpeg),
        ("grey.jpg", grey.clone(), ImageFormat::Jpeg),
        ("colour.webp", colour(3), ImageFormat::WebP),
        ("clear.webp", clear.clone(), ImageFormat::WebP),
        ("colour.bmp", colour(4), ImageFormat::Bmp),
        ("grey.bmp", grey.clone(), ImageFormat::Bmp),
        ("colour.gif", colour(5), ImageFormat::Gif),
        ("colour.tiff", colour(6), ImageFormat::Tiff),
        ("clear.tiff", clear, ImageFormat::Tiff),
    ];
    let mut files: Vec<_> = files
        .into_iter()
        .map(|(name, image, format)| (name.to_owned(), written(&image, format)))
        .collect();
    files.push(("binary.ppm".into(), pnm(6, &colour(7))));
    files.push(("binary.pgm".into(), pnm(5, &grey)));
    files.push(("plain.ppm".into(), pnm(3, &colour(8))));
    files
}

fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// P3 in words, P5 grey and P6 colours in bytes.
fn pnm(kind: u8, image: &DynamicImage) -> Vec<u8> {
    let mut file = format!("P{kind}\n{} {}\n255\n", image.width(), image.height()).into_bytes();
    for level in image.as_bytes() {
        match kind {
            3 => file.extend(format!("{level}\n").bytes()),
            _ => file.push(*level),
        }
    }
    file
}

fn stored() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pictures");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let files: BTreeMap<String, Vec<u8>> = entries
        .map(|e| e.unwrap().path())
        .map(|p| {
            (
                p.file_name().unwrap().to_str().unwrap().to_owned(),
                std::fs::read(&p).unwrap(),
            )
        })
        .collect();
    files.into_iter().collect()
}

/// The head of a NumPy file of version 1.
pub fn npy_head(descr: &str, order: &str, shape: &str) -> Vec<u8> {
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}");
    let padded = (text.len() + 11).next_multiple_of(64);
    text.extend(std::iter::repeat_n(' ', padded - 11 - text.len()));
    text.push('\n');
    let mut head = b"\x93NUMPY\x01\x00".to_vec();
    head.extend((text.len() as u16).to_le_bytes());
    head.extend(text.bytes());
    head
}

/// Stacks that are read, and two of kinds that are not.
fn stacks() -> Vec<Source> {
    let grey: Vec<u8> = (0..6)
        .flat_map(|i| colours(i * 31, 8, 8).to_luma8().into_raw())
        .collect();
    let colour: Vec<u8> = (0..4)
        .flat_map(|i| colours(100 + i * 17, 8, 8).to_rgb8().into_raw())
        .collect();
    let floats: Vec<u8> = grey.iter().flat_map(|level| f32::from(*level).to_le_bytes()).collect();
    let idx = [0u8, 0, 8, 3, 0, 0, 0, 6, 0, 0, 0, 8, 0, 0, 0, 8];
    let stack = |name: &str, head: &[u8], content: &[u8], images| Source {
        name: name.into(),
        bytes: [head, content].concat(),
        needed: head.len() + content.len(),
        images,
    };
    vec![
        stack(
            "grey.npy",
            &npy_head("|u1", "False", "6, 8, 8"),
            &grey,
            single(&grey, 1),
        ),
        stack(
            "colour.npy",
            &npy_head("|u1", "False", "4, 8, 8, 3"),
            &colour,
            single(&colour, 3),
        ),
        stack("grey.idx", &idx, &grey, single(&grey, 1)),
        stack("columns.npy", &npy_head("|u1", "True", "6, 8, 8"), &grey, Vec::new()),
        stack("floats.npy", &npy_head("<f4", "False", "6, 8, 8"), &floats, Vec::new()),
    ]
}

/// Each 8 x 8 image of a stack as a PNG file.
pub fn single(content: &[u8], channels: usize) -> Vec<Vec<u8>> {
    let image = |levels: &[u8]| match channels {
        1 => DynamicImage::ImageLuma8(image::ImageBuffer::from_raw(8, 8, levels.to_vec()).unwrap()),
        _ => DynamicImage::ImageRgb8(image::ImageBuffer::from_raw(8, 8, levels.to_vec()).unwrap()),
    };
    content
        .chunks_exact(64 * channels)
        .map(|levels| png(&image(levels)))
        .collect()
}

/// What a decoder makes of bytes, without the program's own checks.
pub enum Decoded {
    Picture(DynamicImage),
    Refused,
    /// Too large to be decoded beside the tests.
    Large,
}

/// Decodes a picture as it is shown, turned as the camera says.
pub fn decode(bytes: &[u8]) -> Decoded {
    let read = || -> image::ImageResult<Option<DynamicImage>> {
        let mut decoder = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()?
            .into_decoder()?;
        if decoder.total_bytes() > 64 << 20 {
            return Ok(None);
        }
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(Some(image))
    };
    match catch_unwind(read) {
        Ok(Ok(Some(image))) => Decoded::Picture(image),
        Ok(Ok(None)) => Decoded::Large,
        Ok(Err(_)) | Err(_) => Decoded::Refused,
    }
}

/// A PNG file of exactly these pixels.
pub fn png(image: &DynamicImage) -> Vec<u8> {
    written(image, ImageFormat::Png)
}

//! Pictures that were cut off: of every format and kind, at every place.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use ebm::data::FitRule;
use ebm::data::ScoreInput;
use image::codecs::pnm::{PnmEncoder, PnmSubtype, SampleEncoding};
use image::{DynamicImage, ImageFormat};

use crate::files::*;

/// The pixels of a picture file, or why there are none.
fn read(path: &Path) -> ebm::Result<Vec<u8>> {
    let mut items: Vec<_> = ScoreInput::new(&[path.to_path_buf()], [3, 10, 14], FitRule::Crop).collect();
    assert_eq!(items.len(), 1, "{}", path.display());
    items.remove(0).image.map(|pixels| bytes(&pixels))
}

/// Real files of kinds that are not encoded here, with their names.
fn stored() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pictures");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|p| (name(p), fs::read(p).unwrap())).collect()
}

fn encoded() -> Vec<(String, Vec<u8>)> {
    let colours = picture(28, 20, |x, y| [(9 * x) as u8, (12 * y) as u8, (x * y % 251) as u8]);
    let image = DynamicImage::ImageRgb8(colours);
    let mut files = Vec::new();
    for (name, format) in [
        ("a.png", ImageFormat::Png),
        ("a.bmp", ImageFormat::Bmp),
        ("a.gif", ImageFormat::Gif),
        ("a.tiff", ImageFormat::Tiff),
        ("a.jpeg", ImageFormat::Jpeg),
        ("a.webp", ImageFormat::WebP),
    ] {
        let mut out = Cursor::new(Vec::new());
        image.write_to(&mut out, format).unwrap();
        files.push((name.to_owned(), out.into_inner()));
    }
    let pnm = |subtype, image: &DynamicImage| {
        let mut out = Vec::new();
        let encoder = PnmEncoder::new(&mut out).with_subtype(subtype);
        image.write_with_encoder(encoder).unwrap();
        out
    };
    let grey = DynamicImage::ImageLuma8(image.to_luma8());
    for encoding in [SampleEncoding::Binary, SampleEncoding::Ascii] {
        files.push((format!("{encoding:?}.ppm"), pnm(PnmSubtype::Pixmap(encoding), &image)));
        files.push((format!("{encoding:?}.pgm"), pnm(PnmSubtype::Graymap(encoding), &grey)));
    }
    files.push(("runs.bmp".into(), run_length_bmp()));
    files
}

/// A BMP of 14 x 10 grey levels, each row a run and two pixels that stand for themselves.
fn run_length_bmp() -> Vec<u8> {
    let rows: Vec<u8> = (0..10).flat_map(|y| [12, y * 20, 0, 4, 1, 2, 1, 2, 0, 0]).collect();
    // A run of 10 and four single ones.
    let rows: Vec<u8> = rows.chunks(10).flat_map(|r| [&[10, r[1]], &r[2..]].concat()).collect();
    let codes = [rows, vec![0, 1]].concat();
    let palette: Vec<u8> = (0..=255).flat_map(|v| [v, v, v, 0]).collect();
    let (from, size) = (14 + 40 + 1024u32, 14 + 40 + 1024 + codes.len() as u32);
    let mut file = b"BM".to_vec();
    for number in [
        size,
        0,
        from,
        40,
        14,
        10,
        1 | 8 << 16,
        1,
        codes.len() as u32,
        0,
        0,
        256,
        0,
    ] {
        file.extend(number.to_le_bytes());
    }
    [file, palette, codes].concat()
}

/// A GIF of one image may lack its last byte, which ends the film and no pixel.
fn needed(name: &str, file: &[u8]) -> usize {
    file.len() - usize::from(name.ends_with(".gif"))
}

#[test]
fn a_picture_cut_off_anywhere_is_an_error_that_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    for (name, file) in [stored(), encoded()].concat() {
        let path = write(dir.path().join(&name), &file);
        assert!(read(&path).is_ok(), "{:?}", read(&path));
        let needed = needed(&name, &file);
        // Every place near the ends, of a long middle every seventh.
        let all = (0..needed).filter(|at| *at < 300 || *at + 300 > needed || at % 7 == 0);
        for at in all {
            write(path.clone(), &file[..at]);
            let e = read(&path).err();
            let e = e.unwrap_or_else(|| panic!("{name} of {} bytes was read from {at}", file.len()));
            assert!(e.is_input() && e.to_string().contains(&name), "{e}");
        }
    }
}

#[test]
fn bytes_behind_a_whole_picture_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    for (name, file) in [stored(), encoded()].concat() {
        let path = write(dir.path().join(&name), &file);
        let whole = read(&path).unwrap();
        assert!(whole.iter().any(|v| *v != whole[0]), "{name} is one colour");
        for behind in [vec![0], vec![0xff, 0xd9], pattern(5000)] {
            write(path.clone(), [file.clone(), behind].concat());
            assert_eq!(read(&path).unwrap(), whole, "{name}");
        }
    }
}

#[test]
fn kinds_of_one_picture_look_alike() {
    let dir = tempfile::tempdir().unwrap();
    let pixels: Vec<(String, Vec<u8>)> = stored()
        .into_iter()
        .filter(|(name, _)| !["grey.jfif", "alpha.webp"].contains(&name.as_str()))
        .map(|(name, file)| (name.clone(), read(&write(dir.path().join(&name), file)).unwrap()))
        .collect();
    let (_, exact) = pixels.iter().find(|(name, _)| name == "raw.tif").unwrap();
    for (name, found) in &pixels {
        let off: f64 = found.iter().zip(exact).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
        // Lossy kinds and 256 colours lose some levels in the mean over a shrunken picture; grey
        // would lose 50.
        assert!(off / exact.len() as f64 <= 8.0, "{name}: {}", off / exact.len() as f64);
        if name == "lossless.webp" || name.starts_with("tiff_") || name == "packbits.tif" {
            assert_eq!(found, exact, "{name}");
        }
    }
}

#[test]
fn a_film_is_read_while_its_first_image_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("film.gif");
    let mut film = image::codecs::gif::GifEncoder::new(fs::File::create(&path).unwrap());
    for level in [200, 10] {
        let frame = image::RgbaImage::from_fn(14, 10, |x, y| image::Rgba([level, (x * y) as u8, 9, 255]));
        film.encode_frame(image::Frame::new(frame)).unwrap();
    }
    drop(film);
    let file = fs::read(&path).unwrap();
    let whole = read(&path).unwrap();
    write(path.clone(), &file[..file.len() - 30]);
    assert_eq!(read(&path).unwrap(), whole);
    write(path.clone(), &file[..file.len() / 3]);
    assert!(read(&path).is_err());
}

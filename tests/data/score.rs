//! The reader behind `ebm score`.

use std::path::PathBuf;

use ebm::data::FitRule;
use ebm::data::{ScoreInput, ScoreItem};
use image::codecs::gif::GifEncoder;
use image::{Frame, Rgba, RgbaImage};

use crate::files::*;

fn read(paths: &[PathBuf], input: [i64; 3], rule: FitRule) -> Vec<ScoreItem> {
    ScoreInput::new(paths, input, rule).collect()
}

fn first_level(item: &ScoreItem) -> u8 {
    bytes(item.image.as_ref().unwrap())[0]
}

#[test]
fn folders_files_and_stacks_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    save(&picture(2, 2, |_, _| [20; 3]), d.join("f/b/x.png"));
    save(&picture(2, 2, |_, _| [10; 3]), d.join("f/a.bmp"));
    let single = save(&picture(4, 4, |_, _| [30; 3]), d.join("single.webp"));
    let idx = write(d.join("idx"), idx_bytes(&[2, 2, 2], &[[40; 4], [50; 4]].concat()));
    let npy = write(
        d.join("n.npy"),
        npy_bytes("|u1", &[2, 2, 2, 3], &[[60; 12], [70; 12]].concat()),
    );
    let items = read(
        &[idx.clone(), d.join("f"), npy.clone(), single.clone()],
        [1, 2, 2],
        FitRule::Crop,
    );
    let levels: Vec<u8> = items.iter().map(first_level).collect();
    assert_eq!(levels, [40, 50, 10, 20, 60, 70, 30]);
    let places: Vec<(PathBuf, usize)> = items.iter().map(|i| (i.path.clone(), i.index)).collect();
    let expected = [
        (idx.clone(), 0),
        (idx, 1),
        (d.join("f/a.bmp"), 0),
        (d.join("f/b/x.png"), 0),
        (npy.clone(), 0),
        (npy, 1),
        (single, 0),
    ];
    assert_eq!(places, expected);
    assert!(items.iter().all(|i| i.image.as_ref().unwrap().size() == [1, 2, 2]));
}

#[test]
fn trouble_is_an_item_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    let bad = write(d.join("bad.png"), "this is no picture");
    let good = save(&picture(2, 2, |_, _| [5; 3]), d.join("good.png"));
    let short = write(d.join("short"), idx_bytes(&[9, 2, 2], &[0; 8]));
    let odd = write(d.join("odd.npy"), npy_bytes("|u1", &[1, 2, 4, 4], &[0; 32]));
    std::fs::create_dir(d.join("empty")).unwrap();
    let paths = [
        bad.clone(),
        d.join("absent.png"),
        d.join("empty"),
        short.clone(),
        odd,
        good,
    ];
    let items = read(&paths, [1, 2, 2], FitRule::Crop);
    assert_eq!(items.len(), 6);
    for (item, path) in items.iter().zip(&paths).take(5) {
        let e = item.image.as_ref().unwrap_err();
        assert!(e.is_input() && e.to_string().contains(path.to_str().unwrap()), "{e}");
        assert!(e.to_string().contains("remedy: "), "{e}");
    }
    assert_eq!(first_level(&items[5]), 5);
}

#[test]
fn a_stack_of_another_size_is_fitted_like_a_picture_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(
        dir.path().join("i"),
        idx_bytes(&[2, 4, 4], &[[7; 16], [9; 16]].concat()),
    );
    let fitted = read(std::slice::from_ref(&path), [3, 2, 2], FitRule::Crop);
    assert_eq!(bytes(fitted[1].image.as_ref().unwrap()), [9; 12]);
    let refused = read(&[path], [1, 2, 2], FitRule::Exact);
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|i| i.image.is_err()));
}

#[test]
fn of_a_film_the_first_frame() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("film.gif");
    let mut encoder = GifEncoder::new(std::fs::File::create(&path).unwrap());
    for level in [255, 0] {
        let frame = RgbaImage::from_pixel(4, 4, Rgba([level, level, level, 255]));
        encoder.encode_frame(Frame::new(frame)).unwrap();
    }
    drop(encoder);
    let items = read(&[path], [1, 4, 4], FitRule::Exact);
    assert_eq!(items.len(), 1);
    assert_eq!(first_level(&items[0]), 255);
}

#[test]
fn a_jpeg_is_turned_as_the_camera_says() {
    let dir = tempfile::tempdir().unwrap();
    let plain = save(
        &picture(16, 8, |x, _| [if x < 8 { 20 } else { 220 }; 3]),
        dir.path().join("p.jpg"),
    );
    let jpeg = std::fs::read(plain).unwrap();
    // An Exif segment whose only entry is orientation 6: turn a quarter clockwise to show.
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec();
    let mut turned = jpeg[..2].to_vec();
    turned.extend([0xff, 0xe1]);
    turned.extend((exif.len() as u16 + 2).to_be_bytes());
    turned.append(&mut exif);
    turned.extend(&jpeg[2..]);
    let path = write(dir.path().join("t.jpg"), turned);
    let items = read(&[path], [1, 16, 8], FitRule::Exact);
    let levels = bytes(items[0].image.as_ref().unwrap());
    assert!(levels[0] < 60 && levels[127] > 180, "{} {}", levels[0], levels[127]);
}

#[test]
fn batches_keep_the_order_and_count_failures() {
    let dir = tempfile::tempdir().unwrap();
    let stack = write(dir.path().join("i"), idx_bytes(&[5, 2, 2], &pattern(20)));
    let bad = write(dir.path().join("bad.png"), "");
    let mut input = ScoreInput::new(&[stack, bad], [1, 2, 2], FitRule::Exact);
    let sizes: Vec<(usize, i64)> = std::iter::from_fn(|| input.next_batch(4))
        .map(|b| (b.items.len(), b.images.size()[0]))
        .collect();
    assert_eq!(sizes, [(4, 4), (2, 1)]);
}

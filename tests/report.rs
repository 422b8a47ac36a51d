//! What a run writes, read back by other means: metrics, event files, pictures, films, NumPy stacks, tables.

use std::path::Path;

use ebm::report::{Events, MetricsLog, curves, film, grid, images_to_folder, npy, strip, table};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

fn u8s(size: &[i64]) -> Tensor {
    let count: i64 = size.iter().product();
    let values: Vec<u8> = (0..count).map(|i| (i * 31 % 251) as u8).collect();
    Tensor::from_slice(&values).view_(size)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn steps(path: &Path) -> Vec<u64> {
    lines(path).iter().map(|l| l["step"].as_u64().unwrap()).collect()
}

#[test]
fn metrics_are_on_disk_at_once_and_resume_after_a_torn_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    let mut log = MetricsLog::create(&path).unwrap();
    for step in [10, 20, 30, 40] {
        log.scalars(step, &[("loss", step as f64 / 4.0), ("bad", f64::NAN)])
            .unwrap();
    }
    log.event(40, "rollback", &[("to", json!(20)), ("why", json!("loss"))])
        .unwrap();
    // No close, no flush: a reader sees it all.
    assert_eq!(steps(&path), [10, 20, 30, 40, 40]);
    assert_eq!(lines(&path)[1]["loss"], json!(5.0));
    assert_eq!(lines(&path)[1]["bad"], Value::Null);
    assert!(lines(&path)[1]["time"].as_f64().unwrap() > 1e9);

    let mut torn = std::fs::read(&path).unwrap();
    torn.extend(b"{\"step\": 5, \"lo");
    std::fs::write(&path, torn).unwrap();
    let mut log = MetricsLog::resume(&path, 20).unwrap();
    log.scalars(30, &[("loss", 1.0)]).unwrap();
    assert_eq!(
        steps(&path),
        [10, 20, 40, 30],
        "later scalars are dropped, what happened is not"
    );
    assert_eq!(lines(&path)[2]["event"], json!("rollback"));
    assert_eq!(lines(&path)[2]["why"], json!("loss"));
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing temporary is left"
    );
}

#[test]
fn metrics_of_a_run_without_a_log_begin_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.jsonl");
    MetricsLog::resume(&path, 0)
        .unwrap()
        .scalars(1, &[("loss", 0.5)])
        .unwrap();
    assert_eq!(steps(&path), [1]);
    let error = MetricsLog::create(&folder.path().join("none/metrics.jsonl")).unwrap_err();
    assert!(error.to_string().contains("none/metrics.jsonl"), "{error}");
}

/// CRC-32C bit by bit, as RFC 3720 defines it.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, b| {
        (0..8).fold(crc ^ u32::from(*b), |c, _| {
            (c >> 1) ^ (0x82f6_3b78 & (c & 1).wrapping_neg())
        })
    })
}

fn masked(bytes: &[u8]) -> u32 {
    let crc = crc32c(bytes);
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The events in a TFRecord file, its checksums verified.
fn records(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let (mut rest, mut out) = (&bytes[..], Vec::new());
    while !rest.is_empty() {
        let number = |from: usize| u32::from_le_bytes(rest[from..from + 4].try_into().unwrap());
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        assert_eq!(number(8), masked(&rest[..8]), "checksum of the length");
        assert_eq!(
            number(12 + length),
            masked(&rest[12..12 + length]),
            "checksum of the event"
        );
        out.push(rest[12..12 + length].to_vec());
        rest = &rest[16 + length..];
    }
    out
}

#[derive(Debug, PartialEq)]
enum Field {
    Varint(u64),
    Bytes(Vec<u8>),
    Fixed(Vec<u8>),
}

/// The fields of a protocol buffer by number.
fn fields(mut rest: &[u8]) -> Vec<(u64, Field)> {
    fn varint(rest: &mut &[u8]) -> u64 {
        let length = rest.iter().position(|b| b & 0x80 == 0).unwrap() + 1;
        let (number, after) = rest.split_at(length);
        *rest = after;
        number.iter().rev().fold(0, |n, b| n << 7 | u64::from(b & 0x7f))
    }
    fn take(rest: &mut &[u8], n: usize) -> Vec<u8> {
        let (taken, after) = rest.split_at(n);
        *rest = after;
        taken.to_vec()
    }
    let mut out = Vec::new();
    while !rest.is_empty() {
        let key = varint(&mut rest);
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut rest)),
            1 => Field::Fixed(take(&mut rest, 8)),
            2 => {
                let n = varint(&mut rest) as usize;
                Field::Bytes(take(&mut rest, n))
            }
            _ => Field::Fixed(take(&mut rest, 4)),
        };
        out.push((key >> 3, field));
    }
    out
}

fn bytes(message: &[u8], number: u64) -> Vec<u8> {
    match fields(message).into_iter().find(|f| f.0 == number) {
        Some((_, Field::Bytes(b))) => b,
        other => panic!("field {number} is {other:?}"),
    }
}

#[test]
fn event_files_hold_scalars_and_images() {
    // The check value of CRC-32C, so that the parser above is right itself.
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    let folder = tempfile::tempdir().unwrap();
    let mut events = Events::open(folder.path(), 0).unwrap();
    events.scalars(300, &[("loss", -1.5), ("lr", 3e-4)]).unwrap();
    events.images(301, "samples", &u8s(&[5, 1, 32, 32]), &[], 3).unwrap();
    let records = records(events.path());
    assert_eq!(records.len(), 4, "version, start, scalars, images");
    assert_eq!(bytes(&records[0], 3), b"brain.Event:2");

    assert!(fields(&records[2]).contains(&(2, Field::Varint(300))));
    let values: Vec<_> = fields(&bytes(&records[2], 5)).into_iter().map(|f| f.1).collect();
    let scalar = |tag: &[u8], value: f32| {
        let mut message = vec![10, tag.len() as u8];
        message.extend(tag);
        message.push(0x15);
        message.extend(value.to_le_bytes());
        Field::Bytes(message)
    };
    assert_eq!(values, [scalar(b"loss", -1.5), scalar(b"lr", 3e-4)]);

    let value = bytes(&bytes(&records[3], 5), 1);
    assert_eq!(bytes(&value, 1), b"samples");
    let image = bytes(&value, 4);
    let picture = image::load_from_memory(&bytes(&image, 4)).unwrap();
    // Three columns and two rows of 32-pixel images, three times enlarged, with gaps of 4.
    assert_eq!((picture.width(), picture.height()), (3 * 100 + 4, 2 * 100 + 4));
    assert!(fields(&image).contains(&(1, Field::Varint(204))) && fields(&image).contains(&(2, Field::Varint(304))));
}

#[test]
fn a_resumed_run_gets_a_later_event_file_that_purges() {
    let folder = tempfile::tempdir().unwrap();
    let first = Events::open(folder.path(), 0).unwrap();
    let second = Events::open(folder.path(), 20).unwrap();
    assert!(second.path() > first.path(), "TensorBoard reads in the order of names");
    assert!(second.path().to_str().unwrap().contains("tfevents"));
    let records = records(second.path());
    // SessionLog START at the step after the resumed one: what was at that step or later is void.
    assert!(fields(&records[1]).contains(&(2, Field::Varint(21))));
    assert_eq!(fields(&bytes(&records[1], 7)), [(1, Field::Varint(1))]);
}

#[test]
fn a_grid_holds_each_image_enlarged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grid.png");
    let images = u8s(&[3, 3, 28, 20]);
    grid(&images, 2, &path).unwrap();
    let picture = image::open(&path).unwrap().to_rgb8();
    // 96 / 28 = 3 times; two rows of two, the last place empty.
    assert_eq!(picture.dimensions(), (4 + 2 * 64, 4 + 2 * 88));
    for (n, c, y, x) in [(0, 0, 0, 0), (1, 2, 27, 19), (2, 1, 13, 7)] {
        let (left, top) = (4 + n % 2 * 64 + x * 3, 4 + n / 2 * 88 + y * 3);
        let expected = images.int64_value(&[n, c, y, x]) as u8;
        for (dx, dy) in [(0, 0), (2, 2)] {
            assert_eq!(
                picture.get_pixel((left + dx) as u32, (top + dy) as u32)[c as usize],
                expected
            );
        }
    }
    assert_eq!(picture.get_pixel(100, 150).0, [255; 3], "the empty place is ground");
}

#[test]
fn a_strip_has_a_row_a_chain_and_a_column_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strip.png");
    let frame = |t: i64| {
        Tensor::from_slice(&[t as u8, 100 + t as u8])
            .view([2, 1, 1, 1])
            .repeat([1, 1, 96, 96])
    };
    let frames: Vec<Tensor> = [0, 5, 10].into_iter().map(frame).collect();
    strip(&frames, &[], &path).unwrap();
    let picture = image::open(&path).unwrap().to_luma8();
    assert_eq!(picture.dimensions(), (4 + 3 * 100, 4 + 2 * 100));
    let at = |row: u32, column: u32| picture.get_pixel(50 + column * 100, 50 + row * 100)[0];
    assert_eq!([at(0, 0), at(0, 1), at(0, 2)], [0, 5, 10]);
    assert_eq!([at(1, 0), at(1, 1), at(1, 2)], [100, 105, 110]);
    assert!(strip(&[], &[], &path).unwrap_err().is_input());
}

#[test]
fn a_folder_holds_one_file_an_image() {
    let folder = tempfile::tempdir().unwrap();
    for channels in [1, 3] {
        let (images, out) = (u8s(&[3, channels, 5, 7]), folder.path().join(format!("c{channels}")));
        images_to_folder(&images, &out).unwrap();
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), 3);
        for i in 0..3 {
            let picture = image::open(out.join(format!("{i:05}.png"))).unwrap();
            let expected = Vec::<u8>::try_from(images.get(i).permute([1, 2, 0]).contiguous().view(-1)).unwrap();
            assert_eq!(picture.as_bytes(), expected);
        }
    }
}

#[test]
fn a_numpy_stack_is_numpys() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.npy");
    let images = u8s(&[2, 3, 4, 5]);
    npy(&images, &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    // numpy.lib.format 1.0: the data begin at a multiple of 64, here 128.
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3, 4, 5), }";
    assert_eq!(&bytes[..10], b"\x93NUMPY\x01\x00\x76\x00");
    assert_eq!(
        std::str::from_utf8(&bytes[10..128]).unwrap(),
        format!("{header:<117}\n")
    );
    assert_eq!(bytes[128..], Vec::<u8>::try_from(images.view(-1)).unwrap());
    assert_eq!(Tensor::read_npy(&path).unwrap(), images);
}

#[test]
fn a_film_shows_the_first_and_the_last_frame() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.gif");
    for channels in [1, 3] {
        let frame = |t: i64| Tensor::full([4, channels, 8, 8], t * 2, (Kind::Uint8, Device::Cpu));
        let frames: Vec<Tensor> = (0..100).map(frame).collect();
        film(&frames, 2, &path).unwrap();
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(std::fs::File::open(&path).unwrap()).unwrap();
        let mut shown = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            // 2 + 8 x 4 pixels an image; the middle of the first one.
            assert_eq!((frame.width, frame.height), (70, 70));
            shown.push((frame.buffer[(18 * 70 + 18) * 4], frame.delay));
        }
        assert_eq!(shown.len(), 60);
        // 32 levels of grey: at most half of 255 / 31 away.
        for (found, expected) in [(shown[0].0, 0), (shown[59].0, 198)] {
            assert!(
                (f64::from(found) - f64::from(expected)).abs() <= 255.0 / 31.0 / 2.0,
                "{found}, {expected}"
            );
        }
        assert!(shown[59].1 > 10 * shown[0].1, "the last frame stays");
        assert_eq!(decoder.repeat(), gif::Repeat::Infinite);
    }
}

#[test]
fn pictures_of_anything_else_are_refused() {
    let path = Path::new("never-written.png");
    let float = (Kind::Float, Device::Cpu);
    let byte = (Kind::Uint8, Device::Cpu);
    let wrong = [
        Tensor::zeros([1, 1, 4, 4], float),
        Tensor::zeros([1, 2, 4, 4], byte),
        Tensor::zeros([0, 1, 4, 4], byte),
        Tensor::zeros([1, 4, 4], byte),
    ];
    for images in wrong {
        let error = grid(&images, 1, path).unwrap_err();
        assert!(
            error.to_string().contains("expected Uint8 [N, 1 or 3, H, W]"),
            "{error}"
        );
        assert!(npy(&images, path).is_err() && film(&[images], 1, path).is_err());
    }
    assert!(!path.exists());
}

/// How many pixels have about this colour.
fn coloured(picture: &image::RgbImage, colour: [u8; 3]) -> usize {
    let near = |p: &image::Rgb<u8>| p.0.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 30);
    picture.pixels().filter(|p| near(p)).count()
}

#[test]
fn curves_show_what_was_logged_and_rollbacks() {
    let folder = tempfile::tempdir().unwrap();
    let (log_path, path) = (folder.path().join("metrics.jsonl"), folder.path().join("curves.png"));
    let mut log = MetricsLog::create(&log_path).unwrap();
    let error = curves(&log_path, &path).unwrap_err();
    assert!(error.to_string().contains("found none"), "{error}");

    log.scalars(1, &[("loss", 0.5), ("grad_norm", 0.0), ("lr", 0.0)])
        .unwrap();
    curves(&log_path, &path).unwrap();
    let one = image::open(&path).unwrap();
    for step in 2..=50u32 {
        let x = f64::from(step);
        let values = [
            ("energy_pos", x.sin()),
            ("energy_neg", x.cos()),
            ("energy_gap", x.cos() - x.sin()),
            ("loss", f64::NAN),
        ];
        log.scalars(step.into(), &values).unwrap();
    }
    curves(&log_path, &path).unwrap();
    let more = image::open(&path).unwrap().to_rgb8();
    assert!(more.height() > one.height(), "further panels");
    const ORANGE: [u8; 3] = [224, 110, 20];
    const ALARM: [u8; 3] = [200, 30, 45];
    assert!(
        coloured(&more, ORANGE) > 300,
        "the energy of synthesised images is drawn"
    );
    assert_eq!(coloured(&more, ALARM), 0);

    log.event(40, "rollback", &[("to", json!(1))]).unwrap();
    log.scalars(2, &[("energy_pos", 1.0), ("energy_neg", 1.0)]).unwrap();
    curves(&log_path, &path).unwrap();
    let back = image::open(&path).unwrap().to_rgb8();
    assert!(coloured(&back, ALARM) > 200, "a rollback is a line");
    assert!(
        coloured(&back, ORANGE) < coloured(&more, ORANGE) / 2,
        "what was taken back is not drawn"
    );
}

#[test]
fn a_table_is_aligned() {
    let rows =
        [["fashion-mnist", "10000", "0.9991"], ["uniform", "500", "1.0000"]].map(|r| r.map(String::from).to_vec());
    let expected = "\
set            images   AUROC
-------------  ------  ------
fashion-mnist   10000  0.9991
uniform           500  1.0000
";
    assert_eq!(table(&["set", "images", "AUROC"], &rows), expected);
}

//! The counters count: every way in which a value comes to the host, and every byte of tensors on the CPU.

use ebm::ffi;
use tch::{Device, Kind, Tensor};

/// How often the host read in `f`.
fn reads_of(f: impl FnOnce()) -> u64 {
    let before = ffi::reads();
    f();
    ffi::reads() - before
}

/// Asserts that each of the ways counts as a read.
fn assert_counted(ways: &[(&str, &dyn Fn())]) {
    for (name, way) in ways {
        assert!(reads_of(way) >= 1, "{name} is not counted");
    }
}

/// Takes a value, of whatever type.
fn take<T>(value: T) {
    let _ = std::hint::black_box(value);
}

fn numbers() -> Tensor {
    Tensor::from_slice(&[3.0f32, 1.0, 2.0])
}

#[test]
fn every_way_of_tch_to_read_is_counted() {
    ffi::count_reads().unwrap();
    let (t, one, flags) = (numbers(), Tensor::from(1.5f32), Tensor::from(true));
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let picture = Tensor::zeros([2, 2, 3], (Kind::Uint8, Device::Cpu));
    assert_counted(&[
        ("double_value", &|| take(t.double_value(&[1]))),
        ("int64_value", &|| take(t.int64_value(&[1]))),
        ("f64::try_from", &|| take(f64::try_from(&one).unwrap())),
        ("bool::try_from", &|| take(bool::try_from(&flags).unwrap())),
        ("Vec::try_from", &|| take(Vec::<f32>::try_from(&t).unwrap())),
        ("Vec::try_from of another kind", &|| {
            take(Vec::<f64>::try_from(&t).unwrap())
        }),
        ("nested Vec::try_from", &|| {
            take(Vec::<Vec<f32>>::try_from(&t.view([1, 3])).unwrap());
        }),
        ("copy_data", &|| t.copy_data(&mut [0.0f32; 3], 3)),
        ("copy_data_u8", &|| t.copy_data_u8(&mut [0u8; 12], 3)),
        ("copy_data of a view", &|| {
            t.view([3, 1]).tr().copy_data(&mut [0.0f32; 3], 3)
        }),
        ("data_ptr", &|| take(t.data_ptr())),
        ("iter", &|| take(t.iter::<f64>().unwrap().sum::<f64>())),
        ("Display", &|| take(format!("{t}"))),
        ("Debug of a number", &|| take(format!("{one:?}"))),
        ("to_string", &|| take(t.to_string(80).unwrap())),
        ("==", &|| take(t == numbers())),
        ("save", &|| t.save(file("one.pt")).unwrap()),
        ("save_multi", &|| {
            Tensor::save_multi(&[("t", &t)], file("some.pt")).unwrap()
        }),
        ("write_npy", &|| t.write_npy(file("t.npy")).unwrap()),
        ("write_safetensors", &|| {
            Tensor::write_safetensors(&[("t", &t)], file("t.safetensors")).unwrap();
        }),
        ("save of an image", &|| {
            tch::vision::image::save(&picture.permute([2, 0, 1]), file("p.png")).unwrap()
        }),
    ]);
}

#[test]
fn every_operator_that_reads_is_counted() {
    ffi::count_reads().unwrap();
    let (t, flags) = (numbers(), numbers().ge(2.0));
    let whole = t.to_kind(Kind::Int64);
    let square = || Tensor::eye(3, (Kind::Float, Device::Cpu));
    assert_counted(&[
        ("is_nonzero", &|| take(t.get(0).is_nonzero())),
        ("equal", &|| take(t.equal(&numbers()))),
        ("allclose", &|| take(t.allclose(&numbers(), 1e-5, 1e-8, false))),
        ("nonzero", &|| take(t.nonzero())),
        ("nonzero_numpy", &|| take(t.nonzero_numpy())),
        ("argwhere", &|| take(t.argwhere())),
        ("where of a condition", &|| take(Tensor::where_(&flags))),
        ("index by flags", &|| take(t.index(&[Some(&flags)]))),
        ("masked_select", &|| take(t.masked_select(&flags))),
        ("unique", &|| take(t.internal_unique(true, false))),
        ("unique with counts", &|| take(t.internal_unique2(true, false, true))),
        ("unique_dim", &|| take(t.unique_dim(0, true, false, false))),
        ("unique_consecutive", &|| take(t.unique_consecutive(false, false, None))),
        ("unique_dim_consecutive", &|| {
            take(t.unique_dim_consecutive(0, false, false))
        }),
        ("bincount", &|| take(whole.bincount(None::<Tensor>, 0))),
        ("repeat_interleave", &|| take(Tensor::repeat_interleave(&whole, None))),
        ("linalg_cholesky", &|| take(square().linalg_cholesky(false))),
        ("linalg_inv", &|| take(Tensor::linalg_inv(&square()))),
    ]);
}

#[test]
fn what_stays_on_the_device_is_not_a_read() {
    ffi::count_reads().unwrap();
    let t = numbers().set_requires_grad(true);
    let index = Tensor::from_slice(&[2i64, 0]);
    let reads = reads_of(|| {
        let mut own = t.detach().copy();
        let _ = own.index_copy_(0, &index, &own.index_select(0, &index));
        own.copy_(&t.detach().to_kind(Kind::BFloat16));
        let loss = (&t * &own).square().sum(Kind::Float) / t.detach().max();
        loss.backward();
        let _ = t.grad().norm().clamp_max(1.0).isfinite().all();
        take(t.where_self(&t.ge(2.0), &own));
    });
    assert_eq!(reads, 0);
}

#[test]
fn bytes_of_tensors_are_counted_to_the_byte() {
    // This one is older than the counting, and freed in its time.
    let older = Tensor::zeros([1000], (Kind::Float, Device::Cpu));
    assert_eq!(ffi::cpu_bytes(), ffi::CpuBytes { now: 0, peak: 0 });
    // SAFETY: the only thread that uses LibTorch.
    unsafe { ffi::count_cpu_bytes() }.unwrap();
    // SAFETY: the only thread that uses LibTorch.
    unsafe { ffi::count_cpu_bytes() }.unwrap();
    let bytes = || ffi::cpu_bytes().now;
    let held = Tensor::zeros([250], (Kind::Double, Device::Cpu));
    assert_eq!(bytes(), 2000);
    drop(older);
    let view = held.narrow(0, 0, 10);
    drop(held);
    assert_eq!(bytes(), 2000, "a view keeps the whole block");
    let pair = [view.copy(), Tensor::zeros([3, 5], (Kind::BFloat16, Device::Cpu))];
    assert_eq!(bytes(), 2000 + 80 + 30);
    drop(view);
    drop(pair);
    assert_eq!(ffi::cpu_bytes(), ffi::CpuBytes { now: 0, peak: 2110 });
    ffi::restart_cpu_peak();
    assert_eq!(ffi::cpu_bytes(), ffi::CpuBytes { now: 0, peak: 0 });
}

/// oneDNN takes and frees its own memory by LibTorch's allocator of the moment.
#[test]
fn a_convolution_gives_all_its_memory_back() {
    let convolve = |kind: Kind| {
        let x = Tensor::ones([8, 3, 32, 32], (kind, Device::Cpu));
        let weight = Tensor::ones([16, 3, 3, 3], (kind, Device::Cpu));
        x.conv2d(&weight, None::<&Tensor>, 1, 1, 1, 1)
    };
    // What it caches for later calls was there before.
    [Kind::Float, Kind::BFloat16]
        .into_iter()
        .for_each(|kind| drop(convolve(kind)));
    // SAFETY: the only thread that uses LibTorch.
    unsafe { ffi::count_cpu_bytes() }.unwrap();
    for kind in [Kind::Float, Kind::BFloat16] {
        let size = kind.elt_size_in_bytes() as u64;
        let out = convolve(kind);
        let bytes = ffi::cpu_bytes();
        assert_eq!(bytes.now, 8 * 16 * 32 * 32 * size, "{kind:?}: the output alone is left");
        let input = 8 * 3 * 32 * 32 * size;
        assert!(bytes.peak >= bytes.now + input, "{kind:?}: the input was there too");
        drop(out);
        assert_eq!(ffi::cpu_bytes().now, 0, "{kind:?}");
    }
}

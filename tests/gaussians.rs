//! Class-conditional Gaussians: moments of samples against those of the data, in standard errors.

mod common;

use common::Bench;
use ebm::data::Images;
use ebm::rng::Stream;
use ebm::sampling::InitialDistribution;
use ebm::sampling::{ClassGaussians, Starter};
use ebm::space::Space;
use tch::{Device, Kind, Tensor};

const SHAPE: [i64; 3] = [2, 3, 3];
const D: i64 = 18;
const N: i64 = 40_000;

/// Chance passes five standard errors once in two million values; a few hundred are looked at.
const SIGMAS: f64 = 5.0;

/// `n` images whose pixels are correlated, about `centre`, so far from the ends that nothing is cut off.
fn levels(n: i64, centre: f64, seed: u64) -> Tensor {
    let mut rng = Stream::new(seed, "levels");
    let mix = rng.normal(&[D, D], Device::Cpu);
    let x: Tensor = rng.normal(&[n, D], Device::Cpu).matmul(&mix) * 3.0 + centre;
    let [c, h, w] = SHAPE;
    x.round().clamp(0.0, 255.0).to_kind(Kind::Uint8).view([n, c, h, w])
}

fn two_classes() -> Images {
    let at = Tensor::from_slice(&[0i64, 1, 1]).repeat([300]);
    let (a, b) = (levels(900, 90.0, 1), levels(900, 160.0, 2));
    Images {
        pixels: a.where_self(&at.eq(0).view([-1, 1, 1, 1]), &b),
        labels: Some(at),
        classes: vec!["dark".into(), "light".into()],
    }
}

fn rows(x: &Tensor) -> Tensor {
    x.flatten(1, -1).to_kind(Kind::Double)
}

/// Mean and unbiased covariance.
fn moments(x: &Tensor) -> (Tensor, Tensor) {
    let x = rows(x);
    (
        x.mean_dim(0, false, Kind::Double),
        x.tr().cov(1, None::<&Tensor>, None::<&Tensor>),
    )
}

/// Every mean and covariance of normal samples against what they should be: a mean has the standard error
/// sqrt(v / n), a covariance sqrt((v_i v_j + c^2) / n).
fn assert_moments(samples: &Tensor, mean: &Tensor, covariance: &Tensor) {
    let (found_mean, found) = moments(samples);
    let n = samples.size()[0] as f64;
    let v = covariance.diagonal(0, 0, 1);
    let z_mean = (found_mean - mean) / (&v / n).sqrt();
    let z = (found - covariance) / ((v.outer(&v) + covariance.square()) / n).sqrt();
    let worst = |z: &Tensor| z.abs().max().double_value(&[]);
    println!(
        "means off by {:.2} standard errors at most, covariances by {:.2}",
        worst(&z_mean),
        worst(&z)
    );
    assert!(worst(&z_mean) < SIGMAS && worst(&z) < SIGMAS);
}

fn jittered(covariance: Tensor, jitter: f64) -> Tensor {
    covariance + Tensor::eye(D, (Kind::Double, Device::Cpu)) * jitter
}

#[test]
fn samples_have_the_moments_of_their_class() {
    tch::set_num_threads(1);
    let images = two_classes();
    let fitted = ClassGaussians::fit(&images, 1e-4).unwrap();
    assert_eq!(fitted.classes(), 2);
    let labels = images.labels.as_ref().unwrap();
    for class in 0..2 {
        let own = images.normalized(&labels.eq(class).nonzero().squeeze_dim(1));
        let (mean, covariance) = moments(&own);
        let given = Tensor::full([N], class, (Kind::Int64, Device::Cpu));
        let x = fitted.sample(N, Some(&given), &mut Stream::new(3, "sample"));
        assert_eq!((x.size(), x.kind()), (vec![N, 2, 3, 3], Kind::Float));
        assert_moments(&x, &mean, &jittered(covariance, 1e-4));
    }
}

#[test]
fn classes_are_those_given_or_drawn_uniformly() {
    let images = two_classes();
    let init = InitialDistribution::ClassGaussians { jitter: 1e-4 };
    let starter = Starter::new(&init, &Space::of(&SHAPE), Some(&images), Device::Cpu).unwrap();
    // The means are 70 levels apart, eighteen pixels together: no image is taken for one of the other class.
    let light = |x: &Tensor| {
        rows(x)
            .mean_dim(1, false, Kind::Double)
            .gt(-1.0 + 125.0 / 127.5)
            .to_kind(Kind::Int64)
    };
    let given = Tensor::from_slice(&[1i64, 0, 0, 1, 0]).repeat([20]);
    let x = starter.draw(100, Some(&given), &mut Stream::new(4, "sample"));
    assert_eq!(light(&x), given);
    let share = light(&starter.draw(N, None, &mut Stream::new(5, "sample"))).mean(Kind::Double);
    // The data have two light images for each dark one; fresh chains do not.
    let z = (share.double_value(&[]) - 0.5) / (0.25 / N as f64).sqrt();
    assert!(z.abs() < SIGMAS, "{z} standard errors from a half");
}

#[test]
fn images_without_labels_are_one_class() {
    // More than are summed at once.
    let images = Images::unlabelled(levels(5000, 120.0, 6));
    let fitted = ClassGaussians::fit(&images, 1e-4).unwrap();
    let (mean, covariance) = moments(&images.chunk(0, 5000));
    let x = fitted.sample(N, None, &mut Stream::new(7, "sample"));
    assert_moments(&x, &mean, &jittered(covariance, 1e-4));
}

/// Two images in 18 dimensions: one direction varies, all others only by the jitter.
#[test]
fn a_rank_deficient_covariance_needs_the_jitter() {
    let images = Images::unlabelled(levels(2, 120.0, 8));
    let (mean, covariance) = moments(&images.chunk(0, 2));
    for jitter in [1e-4, 1e-2] {
        let fitted = ClassGaussians::fit(&images, jitter).unwrap();
        let x = fitted.sample(N, None, &mut Stream::new(9, "sample"));
        assert_moments(&x, &mean, &jittered(covariance.copy(), jitter));
    }
    let refused = ClassGaussians::fit(&images, 1e-30).unwrap_err();
    assert!(
        refused.is_input() && refused.to_string().contains("class-gaussians.jitter"),
        "{refused}"
    );
    // One image varies by the jitter alone.
    let one = Images::unlabelled(levels(1, 120.0, 8));
    let x = ClassGaussians::fit(&one, 1e-2)
        .unwrap()
        .sample(N, None, &mut Stream::new(10, "sample"));
    let zero = Tensor::zeros([D, D], (Kind::Double, Device::Cpu));
    assert_moments(&x, &rows(&one.chunk(0, 1)).get(0), &jittered(zero, 1e-2));
}

#[test]
fn samples_keep_to_the_range_of_images() {
    let images = Images::unlabelled(levels(200, 250.0, 11));
    let x = ClassGaussians::fit(&images, 1e-4)
        .unwrap()
        .sample(1000, None, &mut Stream::new(12, "sample"));
    assert_eq!(x.max().double_value(&[]), 1.0);
    assert!(x.min().double_value(&[]) >= -1.0);
}

#[test]
fn a_fit_and_its_samples_repeat_bit_for_bit_in_any_order_of_the_images() {
    let images = two_classes();
    let order = Stream::new(13, "order").permutation(900, Device::Cpu);
    let draw = |images: &Images| {
        let fitted = ClassGaussians::fit(images, 1e-4).unwrap();
        let mut rng = Stream::new(14, "sample");
        [fitted.sample(50, None, &mut rng), fitted.sample(3, None, &mut rng)]
    };
    let first = draw(&images);
    assert_eq!(first, draw(&images));
    assert_eq!(first, draw(&images.select(&order)));
    assert_ne!(first[0].narrow(0, 0, 3), first[1]);
}

#[test]
fn a_class_without_images_is_named() {
    let mut images = two_classes();
    images.classes.push("grey".into());
    let error = ClassGaussians::fit(&images, 1e-4).unwrap_err().to_string();
    assert!(error.contains("`grey`"), "{error}");
}

/// The fit is no part of a checkpoint: a resumed run makes it anew, and is the run that was not stopped.
#[test]
fn a_run_that_starts_so_resumes_and_samples() {
    let bench = Bench::new();
    let options = r#"--set sampler.init={"class-gaussians":{}} --set optimizer.schedule=constant"#;
    bench.succeeds(&format!("train tiny.yaml --out whole {options}"));
    bench.succeeds(&format!("train tiny.yaml --out parts {options} --set train.steps=20"));
    bench.succeeds(&format!("train tiny.yaml --out parts {options} --resume"));
    let (whole, parts) = (bench.checkpoint("whole", 40), bench.checkpoint("parts", 40));
    assert!(whole.len() >= 6);
    for (name, bytes) in &whole {
        assert!(bytes == &parts[name], "{name} differs");
    }
    bench.succeeds("sample whole -n 4 --steps 2");
}

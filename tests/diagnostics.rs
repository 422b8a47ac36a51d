//! Convergence diagnostics against ArviZ, and the recorder of chains.

use std::path::Path;

use ebm::rng::Stream;
use ebm::sampling::StepInfo;
use ebm::sampling::diagnostics::{
    Diagnostics, Traces, autocorrelation, ess_bulk, ess_mean, ess_tail, mcse_mean, split_rhat,
};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

type Figure = fn(&Tensor) -> Option<f64>;

const FIGURES: [(&str, Figure); 5] = [
    ("rhat", split_rhat),
    ("ess_bulk", ess_bulk),
    ("ess_tail", ess_tail),
    ("ess_mean", ess_mean),
    ("mcse_mean", mcse_mean),
];

fn golden() -> Vec<Value> {
    let path = Path::new("tests/golden/diagnostics/diagnostics.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Rows of numbers as f64 `[draws, chains]`; null is NaN.
fn matrix(rows: &Value) -> Tensor {
    let rows: Vec<Vec<Option<f64>>> = serde_json::from_value(rows.clone()).unwrap();
    let chains = rows[0].len() as i64;
    let flat: Vec<f64> = rows.into_iter().flatten().map(|v| v.unwrap_or(f64::NAN)).collect();
    Tensor::from_slice(&flat).view([-1, chains])
}

/// Equal to a share of 1e-6.
fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-6 * expected.abs()
}

fn normal(size: &[i64], name: &str) -> Tensor {
    Stream::new(5, name).normal(size, Device::Cpu).to_kind(Kind::Double)
}

#[test]
fn figures_are_those_of_arviz() {
    let cases = golden();
    assert!(cases.len() >= 18, "{} sets", cases.len());
    for case in cases {
        let trace = matrix(&case["draws"]);
        for (key, figure) in FIGURES {
            match (figure(&trace), case[key].as_f64()) {
                (Some(found), Some(expected)) => {
                    assert!(close(found, expected), "{} {key}: {found}, {expected}", case["name"])
                }
                (found, expected) => assert_eq!(found, expected, "{} {key}", case["name"]),
            }
        }
    }
}

#[test]
fn autocorrelations_are_those_of_arviz() {
    for case in golden() {
        let (found, expected) = (
            autocorrelation(&matrix(&case["draws"])),
            matrix(&case["autocorrelation"]),
        );
        assert!(
            found.allclose(&expected, 1e-6, 1e-6, true),
            "{}: {found:?}",
            case["name"]
        );
    }
}

#[test]
fn figures_ignore_order_kind_and_scale() {
    let trace = normal(&[61, 4], "order");
    let turned = trace.index_select(1, &Tensor::from_slice(&[2i64, 0, 3, 1]));
    let single = trace.to_kind(Kind::Float);
    for (key, figure) in FIGURES {
        let found = figure(&trace).unwrap();
        assert!(close(figure(&turned).unwrap(), found), "{key}");
        // Ranks of f32 and f64 are the same where rounding makes no ties.
        assert!((figure(&single).unwrap() / found - 1.0).abs() < 1e-5, "{key}");
        let scaled = figure(&(&trace * 1e-20)).unwrap();
        let expected = if key == "mcse_mean" { found * 1e-20 } else { found };
        assert!(close(scaled, expected), "{key}");
    }
}

#[test]
fn what_has_no_figures_is_none() {
    let good = normal(&[20, 3], "none");
    let with = |value: f64| {
        let trace = good.copy();
        let _ = trace.get(7).get(1).fill_(value);
        trace
    };
    let constant = Tensor::full([20, 3], 0.1, (Kind::Double, Device::Cpu));
    let traces = [
        good.narrow(0, 0, 3),
        good.narrow(0, 0, 0),
        good.narrow(1, 0, 0),
        with(f64::NAN),
        with(f64::INFINITY),
        constant.copy(),
    ];
    for (i, trace) in traces.iter().enumerate() {
        for (key, figure) in FIGURES {
            assert_eq!(figure(trace), None, "{key} of trace {i}");
        }
    }
    assert_eq!(ess_mean(&(&good * 1e200)), None);
    assert_eq!(split_rhat(&good.narrow(1, 0, 1)), None);
    assert!(ess_bulk(&good.narrow(1, 0, 1)).is_some());
    let correlation = autocorrelation(&constant);
    assert_eq!(correlation.isnan().all().int64_value(&[]), 1);
    assert_eq!(autocorrelation(&good.narrow(0, 0, 0)).size(), [0, 3]);
}

#[test]
fn chains_that_stand_still_apart_have_an_unbounded_rhat() {
    let places = Tensor::from_slice(&[0.0, 1.0, 2.0, 3.0]);
    let trace = places.expand([32, 4], false).contiguous();
    assert!(split_rhat(&trace).unwrap() > 1e6);
    // Each chain tells as much as one draw.
    assert!(ess_bulk(&trace).unwrap() < 8.0);
}

/// Records `steps` states drawn for each step anew.
fn recorded(steps: i64, warm_up: usize, shape: &[i64], with_energy: bool) -> (Diagnostics, Tensor) {
    let size: Vec<i64> = [&[steps], shape].concat();
    let x = normal(&size, "states").to_kind(Kind::Float);
    let mut traces = Traces::new(
        steps as usize,
        warm_up,
        shape,
        Device::Cpu,
        &mut Stream::new(1, "traces"),
    );
    let nothing = StepInfo::default();
    for k in 0..steps {
        let state = x.get(k);
        let energy = state.flatten(1, -1).sum_dim_intlist(1, false, Kind::Float);
        let accept = Tensor::full([shape[0]], k as f64 / 100.0, (Kind::Float, Device::Cpu));
        let told = StepInfo {
            gradients: Some(&accept * 20.0),
            accept_prob: Some(accept),
            energy: Some(energy),
            ..StepInfo::default()
        };
        traces.record(&state, if with_energy { &told } else { &nothing });
    }
    (traces.finish(), x)
}

fn names(found: &Diagnostics) -> Vec<&str> {
    found.rows.iter().map(|row| row.name.as_str()).collect()
}

#[test]
fn small_states_have_a_trace_a_coordinate() {
    let (found, x) = recorded(50, 20, &[6, 2], true);
    assert_eq!(names(&found), ["energy", "coordinate 1", "coordinate 2", "norm"]);
    assert_eq!((found.chains, found.draws, found.warm_up), (6, 30, 20));
    // The mean of 0.20 to 0.49: warm-up has no part in it.
    assert!((found.acceptance.unwrap() - 0.345).abs() < 1e-6);
    assert!((found.gradients.unwrap() - 6.9).abs() < 1e-5);
    let coordinate = x.select(2, 1);
    assert_eq!(found.traces[2].values, coordinate);
    let after = coordinate.narrow(0, 20, 30);
    let row = &found.rows[2];
    for (key, figure) in FIGURES {
        let own = match key {
            "rhat" => row.rhat,
            "ess_bulk" => row.ess_bulk,
            "ess_tail" => row.ess_tail,
            "mcse_mean" => row.mcse,
            _ => continue,
        };
        assert_eq!(own, figure(&after), "{key}");
    }
    let after = after.to_kind(Kind::Double);
    assert!(close(row.mean.unwrap(), after.mean(Kind::Double).double_value(&[])));
    assert!(close(row.std.unwrap(), after.std(true).double_value(&[])));
}

#[test]
fn large_states_have_projections_of_unit_length() {
    let (found, x) = recorded(30, 0, &[4, 1, 5, 5], false);
    let expected = ["projection 1", "projection 2", "projection 3", "projection 4", "norm"];
    assert_eq!(names(&found), expected);
    assert_eq!((found.acceptance, found.gradients), (None, None));
    let norms = x.flatten(2, -1).square().sum_dim_intlist(2, false, Kind::Float).sqrt();
    assert!(found.traces[4].values.allclose(&norms, 1e-6, 1e-6, false));
    // A projection is linear, so least squares find its direction: of length 1, and the same in
    // every recording.
    let values = &found.traces[0].values;
    let states = x.view([-1, 25]).to_kind(Kind::Double);
    let wanted = values.reshape([-1, 1]).to_kind(Kind::Double);
    let direction = states.linalg_lstsq(&wanted, None, "gelsd").0;
    assert!((direction.norm().double_value(&[]) - 1.0).abs() < 1e-5);
    assert!(states.matmul(&direction).allclose(&wanted, 1e-5, 1e-5, false));
    let (again, _) = recorded(30, 0, &[4, 1, 5, 5], false);
    assert_eq!(&again.traces[0].values, values);
}

#[test]
fn a_recording_that_ends_early_has_the_steps_made() {
    let mut traces = Traces::new(100, 2, &[3, 2], Device::Cpu, &mut Stream::new(1, "traces"));
    let x = normal(&[10, 3, 2], "early").to_kind(Kind::Float);
    for k in 0..10 {
        let told = StepInfo {
            energy: (k == 4).then(|| x.get(k).select(1, 0)),
            ..StepInfo::default()
        };
        traces.record(&x.get(k), &told);
    }
    let found = traces.finish();
    assert_eq!((found.draws, found.warm_up), (8, 2));
    // The energy of one step only has no figures; the rest has.
    assert_eq!((found.rows[0].mean, found.rows[0].rhat), (None, None));
    assert!(found.rows[1].rhat.is_some());
    let none = Traces::new(5, 9, &[3, 2], Device::Cpu, &mut Stream::new(1, "traces")).finish();
    assert_eq!((none.draws, none.rows[0].ess_bulk), (0, None));
}

#[test]
fn figures_are_a_table_and_json() {
    let (found, _) = recorded(60, 10, &[8, 2], true);
    let text = found.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("quantity") && lines[0].ends_with("R-hat"),
        "{text}"
    );
    assert_eq!(lines.len(), 7, "{text}");
    assert_eq!(
        lines[6], "8 chains of 50 draws after 10 of warm-up; accepted 34.5 %; 6.9 gradients a step",
        "{text}"
    );
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["rows"][0]["name"], "energy");
    assert_eq!(json["rows"][3]["rhat"].as_f64(), found.rows[3].rhat);
    assert!(json.get("traces").is_none());
}

#[test]
fn traces_are_drawn_and_odd_ones_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("traces.png");
    let (found, _) = recorded(400, 100, &[12, 2], true);
    found.draw("Chains", &path).unwrap();
    let picture = image::open(&path).unwrap().to_rgb8();
    // Four quantities, one beneath the other.
    assert!(picture.height() > 4 * 200);
    let near = |p: &image::Rgb<u8>, c: [u8; 3]| p.0.iter().zip(c).all(|(a, b)| a.abs_diff(b) < 60);
    let (blue, orange) = ([31, 119, 180], [224, 110, 20]);
    for colour in [blue, orange] {
        assert!(picture.pixels().filter(|p| near(p, colour)).count() > 100);
    }
    let mut broken = Traces::new(5, 0, &[3, 2], Device::Cpu, &mut Stream::new(1, "traces"));
    broken.record(
        &Tensor::full([3, 2], f64::NAN, (Kind::Float, Device::Cpu)),
        &StepInfo::default(),
    );
    let error = broken
        .finish()
        .draw("Chains", &folder.path().join("bad.png"))
        .unwrap_err();
    assert!(
        error.is_input() && error.to_string().contains("coordinate 1"),
        "{error}"
    );
}

//! What the commands find the library finds by itself, number for number: samples, scores, a
//! threshold, a comparison of sets, an evaluation.

mod common;

use std::path::Path;

use common::Bench;
use ebm::eval::{Score, ScriptInput};
use ebm::judging::evaluate::{
    Classified, Evaluation, FeatureChoice, Measure, Measured, Quality, Reference, SampleChoice, Subject,
};
use ebm::judging::{
    Columns, Comparison, Drawing, Format, Inside, Loaded, Request, ScoredFiles, Scoring, Threshold, ThresholdFit, Wish,
    judge_of_columns, sets,
};
use ebm::report::ImageForm;
use ebm::run::{RunDir, Weights, Which};
use ebm::sampling::Length;
use ebm::train::ChainStart;
use serde_json::{Value, json};
use tch::Device;

/// A classifier's run, in the folder that this process then works in: the paths of a run are words
/// of its records.
fn loaded(bench: &Bench) -> Loaded {
    std::env::set_current_dir(bench.dir.path()).unwrap();
    let run = RunDir::open(Path::new("run")).unwrap();
    Loaded::open(&run, Which::Last, Weights::Ema, Device::Cpu).unwrap()
}

fn written(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(name).unwrap()).unwrap()
}

#[test]
fn samples_of_a_class_are_those_of_the_program() {
    let bench = Bench::with_classifier(20);
    let loaded = loaded(&bench);
    bench.succeeds(
        "sample run --classes 1,0 -n 3 --steps 4 --final-steps 2 --seed 3 --out theirs.npy --json theirs.json",
    );
    let request = Request::new(&loaded.run, &loaded.trained, &Wish::Classes("1,0"), Some(3), None).unwrap();
    let drawing = Drawing {
        run: &loaded.run,
        trained: &loaded.trained,
        request: &request,
        from: ChainStart::Noise,
        length: Length { steps: 4, quiet: 2 },
        film: true,
        diagnostics: false,
        seed: 3,
    };
    let drawn = drawing.draw(&()).unwrap();
    let out = Path::new("ours.npy");
    let form = ImageForm::of(out).unwrap();
    form.write(&drawn.images(), &request.captions(), request.columns, out)
        .unwrap();
    assert_eq!(std::fs::read("ours.npy").unwrap(), std::fs::read("theirs.npy").unwrap());
    let views = request.judge(&loaded.trained, &drawn.images()).unwrap().unwrap();
    assert_eq!(json!(views.json()), written("theirs.json"));
    assert_eq!(drawn.films(out).unwrap().len(), 2);
}

#[test]
fn rows_thresholds_and_comparisons_are_those_of_the_program() {
    let bench = Bench::with_classifier(20);
    let loaded = loaded(&bench);
    bench.succeeds("sample run -n 5 --out made.npy");
    bench.succeeds("threshold run --score max_py --tpr 0.9 --noise 0.1");
    let kept = Threshold::of(&loaded).unwrap();
    let fit = ThresholdFit {
        score: kept.score,
        tpr: 0.9,
        on: "validation",
        scoring: Scoring {
            noise: 0.1,
            ..Scoring::default()
        },
    };
    assert_eq!(fit.fit(&loaded, &()).unwrap(), kept);

    let theirs = bench.ebm("score run made.npy --scores joint --threshold").stdout;
    let mut columns = Columns::new(&[Score::Joint], &Scoring::default(), Some(kept));
    columns.add_classes(loaded.class_names(), false);
    let judge = judge_of_columns(&loaded, &columns, &()).unwrap();
    let mut ours = Vec::new();
    columns.write_header(&mut ours, Format::Csv).unwrap();
    let files = ScoredFiles {
        paths: &["made.npy".into()],
        top: None,
        sheet: None,
    };
    let counts = files.score(&loaded, &judge, &columns, &(), &mut |place, found| {
        columns.write_row(&mut ours, Format::Csv, place, found).unwrap();
        Ok(())
    });
    assert_eq!(counts.unwrap().scored, 5);
    assert_eq!(String::from_utf8(ours).unwrap(), common::text(&theirs));

    bench.succeeds("ood run --against uniform made.npy --scores log_px,joint --bootstrap 20 --json ood.json");
    let comparison = Comparison {
        scores: &[Score::LogPx, Score::Joint],
        sets: &["uniform", "made.npy"].map(|set| sets::outliers(set).unwrap()),
        limit: None,
        bootstrap: 20,
        scoring: Scoring::default(),
    };
    let compared = comparison.run(&loaded, Inside::Test, &()).unwrap();
    assert_eq!(json!(compared.rows), written("ood.json"));
}

#[test]
fn an_evaluation_is_that_of_the_program() {
    let bench = Bench::with_classifier(20);
    let loaded = loaded(&bench);
    bench.succeeds("evaluate run -n 12 --steps 2 --noise 0.1 --seed 5 --out theirs");
    let measured = Measured {
        seed: 5,
        out: Some("ours".into()),
        ..Measured::default()
    };
    let subject = Subject::new(loaded, measured, &());
    let samples = SampleChoice::Chains {
        n: 12,
        from: ChainStart::Noise,
        length: Length::of(2),
        by_class: None,
    };
    let features = FeatureChoice {
        network: None,
        input: ScriptInput {
            channels: 3,
            size: None,
            range: [-1.0, 1.0],
        },
        trust: false,
        inception: false,
        class_probabilities: None,
    };
    let parts: [Box<dyn Measure>; 2] = [
        Box::new(Classified::new(0.1, &subject).unwrap()),
        Box::new(Quality::new(&samples, Reference::Test, &features, &subject).unwrap()),
    ];
    let mut evaluation = Evaluation::new(&subject).unwrap();
    for part in parts {
        evaluation.add(part.as_ref(), &subject).unwrap();
    }
    evaluation.write([Evaluation::file(&subject).as_path()]).unwrap();
    assert_eq!(written("ours/evaluation.json"), written("theirs/evaluation.json"));
    assert!(Path::new("ours/reliability.png").is_file());
}

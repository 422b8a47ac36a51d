//! The examples that the README does not show run: the library alone trains a run, draws from it and judges it.

mod common;

use common::Bench;

#[allow(dead_code)] // the tests bring their own main
mod run {
    include!("../examples/run.rs");

    #[test]
    fn the_library_leaves_the_run_that_the_program_leaves() {
        tch::set_num_threads(1);
        let bench = super::Bench::new();
        let (file, own) = (bench.path("tiny.yaml"), bench.path("own"));
        let steps = "--set train.steps=12 --set evaluate.every=10";
        bench.succeeds(&format!("train tiny.yaml --out program {steps}"));
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("evaluate: {", "evaluate: {every: 10, ")).unwrap();
        let results = train(&file, &own, 12).unwrap().expect("a run that does not diverge");
        let theirs: Results = ebm::run::RunDir::open(&bench.path("program"))
            .unwrap()
            .read_json("results.json")
            .unwrap();
        assert_eq!(format!("{:?}", results.ood), format!("{:?}", theirs.ood));
        let (ours, theirs) = (bench.checkpoint("own", 12), bench.checkpoint("program", 12));
        for (name, bytes) in ours.iter().filter(|(name, _)| name.ends_with(".safetensors")) {
            assert!(bytes == &theirs[name], "{name} differs");
        }
        for name in [
            "metrics.jsonl",
            "curves.png",
            "samples/final.png",
            "checkpoints/best.json",
        ] {
            assert!(own.join(name).is_file(), "{name}");
        }
        // What the library began the program goes on with, and the other way round.
        let resolved = "own/resolved.yaml --out own --resume --set train.steps=14";
        bench.succeeds(&format!("train {resolved}"));
    }
}

#[allow(dead_code)] // the tests bring their own main
mod judge {
    include!("../examples/judge.rs");

    #[test]
    fn chains_of_no_step_are_the_noise_that_the_program_tells_from_data() {
        tch::set_num_threads(1);
        let bench = super::Bench::new();
        bench.succeeds("train tiny.yaml --out run --set train.steps=40");
        bench.succeeds("ood run --against uniform --scores log_px --bootstrap 0 --json ood.json");
        let rows = std::fs::read_to_string(bench.path("ood.json")).unwrap();
        let rows: serde_json::Value = serde_json::from_str(&rows).unwrap();
        let theirs = rows[0]["auroc"].as_f64().unwrap();
        let ours = auroc(&bench.path("run"), 400, 0).unwrap();
        // Two draws of noise against the same few images.
        assert!((ours - theirs).abs() < 0.1, "{ours} and {theirs}");
        let moved = auroc(&bench.path("run"), 400, 20).unwrap();
        assert!(moved != ours, "chains stood still");
    }
}

#[allow(dead_code)] // the tests bring their own main
mod custom_energy {
    include!("../examples/custom_energy.rs");

    #[test]
    fn chains_go_round_the_ring() {
        tch::set_num_threads(1);
        let found = draw(64, 300);
        let row = |name: &str| found.rows.iter().find(|r| r.name == name).unwrap();
        // The density of the radius r is in proportion to r exp(-(r - 3)^2 / 0.18), whose mean is 3.03.
        let norm = row("norm");
        let (mean, error) = (norm.mean.unwrap(), norm.mcse.unwrap());
        assert!((mean - 3.03).abs() < 5.0 * error + 1e-3, "{mean}, error {error}");
        let x = row("coordinate 1");
        assert!(x.mean.unwrap().abs() < 5.0 * x.mcse.unwrap(), "{x:?}");
        assert!(found.acceptance.unwrap() > 0.8 && norm.rhat.unwrap() < 1.05, "{found}");
    }
}

#[allow(dead_code)] // the tests bring their own main
mod custom_kernel {
    include!("../examples/custom_kernel.rs");

    #[test]
    fn long_proposals_cross_to_the_other_mode() {
        tch::set_num_threads(1);
        let of = |long| right(&TwoScales { short: 0.5, long }, 1000, 500);
        // Of 1000 chains two thirds, give or take five standard errors; with short steps alone none.
        let (crossed, stuck) = (of(6.0), of(0.5));
        assert!((crossed - 2.0 / 3.0).abs() < 0.075, "{crossed}");
        assert_eq!(stuck, 0.0);
    }
}

#[allow(dead_code)] // the tests bring their own main
mod metropolis_hastings {
    include!("../examples/metropolis_hastings.rs");

    #[test]
    fn every_state_follows_the_posterior_and_accepted_proposals_alone_do_not() {
        tch::set_num_threads(1);
        let bench = super::Bench::new();
        let found = sample(50_000, 0);
        found.print();
        let (posterior, moves) = (found.posterior.moments(), found.moves.moments());
        let (every, accepted) = (estimates(&found.every), estimates(&found.accepted));
        for (name, drawn, due) in [("every", every, posterior), ("accepted", accepted, moves)] {
            for ((value, error), due) in drawn.into_iter().zip(due) {
                assert!(
                    (value - due).abs() < 5.0 * error,
                    "{name}: {value} +- {error}, {due} is due"
                );
            }
        }
        // The moves' density is wider by a seventh, and so are the draws.
        let [(_, _), (std, error)] = accepted;
        assert!(
            std - posterior[1] > 5.0 * error,
            "{std} +- {error} beside {}",
            posterior[1]
        );
        assert!(moves[1] > 1.12 * posterior[1], "{moves:?} beside {posterior:?}");
        // What the picture shows of the posterior has its moments, but for half a cell of 0.03 of its deviation.
        let shown = Tensor::from_slice(&found.posterior.quantiles(10_000));
        let off = (shown.mean(Kind::Double).double_value(&[]) - posterior[0]).abs();
        let wide = shown.std(false).double_value(&[]) / posterior[1];
        assert!(off < 0.02 * posterior[1] && (wide - 1.0).abs() < 0.01, "{off}, {wide}");
        let (draws, traces) = (bench.path("draws.png"), bench.path("traces.png"));
        found.draw(&draws).unwrap();
        found.diagnostics.draw("a chain", &traces).unwrap();
        assert!([draws, traces].iter().all(|png| image::open(png).is_ok()));
    }
}

#[allow(dead_code)] // the tests bring their own main
mod tempering {
    include!("../examples/tempering.rs");

    #[test]
    fn tempered_chains_find_the_shares_that_plain_ones_miss() {
        tch::set_num_threads(1);
        let bench = super::Bench::new();
        let found = compare(200, 800);
        let [plain, tempered, exact] = &found;
        let off = |f: &Found| (f.share - CROSSES) / f.error;
        assert!(off(exact).abs() < 4.0, "exact draws: {} ± {}", exact.share, exact.error);
        assert!(
            off(tempered).abs() < 4.0,
            "tempered: {} ± {}",
            tempered.share,
            tempered.error
        );
        assert!(tempered.error < 0.05, "its error {} says nothing", tempered.error);
        assert!(off(plain).abs() > 4.0, "plain: {} ± {}", plain.share, plain.error);
        let png = bench.path("tempering.png");
        draw(&found, &png).unwrap();
        assert!(std::fs::read(&png).unwrap().starts_with(b"\x89PNG"));
    }
}

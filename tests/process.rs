//! How threads wait for each other, as the runtime of threads itself says.

mod common;

use common::{Bench, text};

const SPINS: &str = "GOMP_SPINCOUNT";
const POLICY: &str = "OMP_WAIT_POLICY";

/// What the runtime says at each start of the program, with these in the environment; how often it looks again.
fn spins(environment: &[(&str, &str)]) -> Vec<String> {
    let bench = Bench::new();
    let mut command = bench.command("score");
    command
        .args(["no such run", "x.png"])
        .env_remove(SPINS)
        .env_remove(POLICY);
    command.env("OMP_DISPLAY_ENV", "verbose");
    let out = command.envs(environment.iter().copied()).output().unwrap();
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2));
    assert!(
        said.contains("no such run"),
        "the arguments are those that were given: {said}"
    );
    let lines = said.lines().filter(|line| line.contains(SPINS));
    lines.map(|line| line.split('\'').nth(1).unwrap().to_owned()).collect()
}

#[test]
fn the_program_has_its_threads_wait_briefly() {
    let [first, second] = &spins(&[])[..] else {
        panic!("the program starts anew once")
    };
    assert_ne!(first, second);
    assert_eq!(second, "1000");
}

#[test]
fn what_the_environment_says_is_obeyed() {
    assert_eq!(spins(&[(SPINS, "77")]), ["77"]);
    let passive = spins(&[(POLICY, "passive")]);
    assert_eq!(passive, ["0"]);
}

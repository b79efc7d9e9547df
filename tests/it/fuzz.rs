//! Generated input: every parser and constructor returns a value in its range or a clear error, and no text becomes
//! part of a statement.
//!
//! Each test runs with a share of its cases, and with all of them as `all`, which takes minutes:
//! `cargo test -p optilock-tests --test it fuzz:: -- --ignored --nocapture`. A failure prints its seed, which
//! `PROPTEST_RNG_SEED` takes.

/// Defines for each name a test with a share of the cases, and one with all of them.
macro_rules! fuzz {
    ($($name:ident: $input:expr => $test:expr;)*) => {$(
        mod $name {
            #[allow(clippy::wildcard_imports, reason = "the module of one test")]
            use super::*;

            #[test]
            fn some() {
                crate::fuzz::run(stringify!($name), crate::fuzz::SOME, $input, $test);
            }

            #[test]
            #[ignore = "takes minutes"]
            fn all() {
                crate::fuzz::run(stringify!($name), crate::fuzz::CASES, $input, $test);
            }
        }
    )*};
}

mod bodies;
mod builders;
mod clear;
mod json;
mod numbers;
mod operations;
mod parsers;
mod policies;
mod requests;
mod statements;
mod texts;

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngSeed, TestCaseError, TestRunner},
};

/// The cases of each parser, constructor and HTTP body.
const CASES: u32 = 100_000;

/// The cases in a run that is not asked for all.
const SOME: u32 = CASES / 200;

fn run<S: Strategy>(
    name: &str,
    cases: u32,
    input: S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let seed = match Config::default().rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => rand::random(),
    };
    let config = Config {
        cases,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&input, test);
    outcome.unwrap_or_else(|error| panic!("{name}, PROPTEST_RNG_SEED={seed}: {error}"));
    println!("{name}: {cases} cases");
}

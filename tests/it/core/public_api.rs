//! The listing of the public API: what a host can name is in `public_api.txt`, and a change of it is seen in review.

use std::{fmt::Write, fs, path::Path, process::Command};

/// The compiler whose description of a crate `public_api` reads.
const TOOLCHAIN: &str = "1.95.0";

/// `OPTILOCK_BLESS=1` replaces the listing.
#[test]
#[ignore = "builds the documentation of the crate by Rust 1.95.0"]
fn the_public_api_is_the_listed_one() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = tests.parent().unwrap();
    let built = Command::new("rustup")
        .args(["run", TOOLCHAIN, "cargo", "rustdoc", "--quiet", "--lib"])
        .args(["-p", "optilock", "--all-features"])
        .args(["--config", "build.rustdoc='.ci/rustdoc-json'"])
        .current_dir(root)
        .status()
        .expect("rustup, which has this version of Rust");
    assert!(built.success(), "`rustup toolchain install {TOOLCHAIN}`");

    let target = std::env::current_exe().unwrap();
    let target = target.ancestors().nth(3).unwrap();
    let api = public_api::Builder::from_rustdoc_json(target.join("doc/optilock.json"))
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()
        .unwrap();
    let mut found = String::new();
    for item in api.items() {
        writeln!(found, "{item}").unwrap();
    }

    let listing = tests.join("public_api.txt");
    if std::env::var_os("OPTILOCK_BLESS").is_some() {
        fs::write(&listing, &found).unwrap();
    }
    let listed = fs::read_to_string(&listing).unwrap();
    let missing = listed
        .lines()
        .filter(|line| !found.lines().any(|other| other == *line));
    let added = found
        .lines()
        .filter(|line| !listed.lines().any(|other| other == *line));
    let missing: Vec<String> = missing.map(|line| format!("- {line}")).collect();
    let added: Vec<String> = added.map(|line| format!("+ {line}")).collect();
    assert!(
        missing.is_empty() && added.is_empty(),
        "the public API is another one than tests/public_api.txt (OPTILOCK_BLESS=1 replaces it):\n{}\n{}",
        missing.join("\n"),
        added.join("\n")
    );
}

//! Checked queries: their macros need the database or prepared files when they are built, so the code is a crate of its
//! own here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::database;

const SQL: &str = include_str!("../../../src/guide/recipes/checked_queries.sql");
/// Not a module of these tests: #[path = "../../../src/guide/recipes/checked_queries.rs"]
const CODE: &str = include_str!("../../../src/guide/recipes/checked_queries.rs");
const PROGRAM: &str = include_str!("checked_queries/program.rs");

const MANIFEST: &str = r#"
[package]
name = "checked-queries"
edition = "2024"

[workspace]

[dependencies]
optilock = { path = "ROOT", default-features = false, features = ["postgres"] }
sqlx = { version = "0.9", default-features = false, features = ["postgres", "runtime-tokio", "macros"] }
tokio = { version = "1", features = ["macros", "rt"] }
"#;

/// A crate with the recipe's code.
struct Crate(PathBuf);

impl Crate {
    fn write(code: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("checked_queries");
        fs::create_dir_all(folder.join("src")).unwrap();
        let manifest = MANIFEST.replace("ROOT", root.to_str().unwrap());
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        fs::write(folder.join("src/recipe.rs"), code).unwrap();
        fs::write(folder.join("src/main.rs"), PROGRAM).unwrap();
        Self(folder)
    }

    fn cargo(&self, command: &str) -> Command {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args([command, "--offline", "--quiet"])
            .current_dir(&self.0)
            .env("CARGO_TARGET_DIR", self.0.join("target"))
            .env("SQLX_OFFLINE_DIR", self.0.join(".sqlx"))
            .env_remove("DATABASE_URL")
            .env_remove("RUSTFLAGS");
        cargo
    }
}

fn assert_succeeded(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds a crate with the macros of sqlx, which takes minutes"]
async fn the_queries_are_built_and_run_with_a_database_and_built_from_prepared_files() {
    let db = database(SQL).await;
    let url = db.database.url();
    let recipe = Crate::write(CODE);
    // Those of an earlier run may be of other queries.
    let files = recipe.0.join(".sqlx");
    _ = fs::remove_dir_all(&files);
    fs::create_dir_all(&files).unwrap();
    let with_database = recipe.cargo("run").env("DATABASE_URL", url).output();
    assert_succeeded(&with_database.unwrap());
    assert_eq!(fs::read_dir(&files).unwrap().count(), 3);
    // From these files, without a database.
    let recipe = Crate::write(CODE);
    let prepared = recipe.cargo("build").env("SQLX_OFFLINE", "true").output();
    assert_succeeded(&prepared.unwrap());
}

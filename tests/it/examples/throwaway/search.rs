//! The order of the search for a server, and its errors.

use std::path::PathBuf;

use support::binaries;
use support::environment::Environment;
use support::{Durability, Error, Server};

use super::fake_binaries::FakeBinaries;
use super::{nothing, throwaway};

#[test]
fn the_url_takes_precedence_without_a_fallback() {
    let environment = Environment {
        database_url: Some("postgres://nobody@127.0.0.1:1/none".to_owned()),
        ..throwaway()
    };
    let error = Server::find_or_start_in(&environment, Durability::Fast)
        .expect_err("nothing listens on port 1");
    assert!(matches!(error, Error::Url(_)), "{error}");
}

#[test]
fn an_unusable_opt_pg_bin_is_refused() {
    let environment = Environment {
        pg_bin: Some(PathBuf::from("/")),
        ..throwaway()
    };
    let error =
        Server::find_or_start_in(&environment, Durability::Fast).expect_err("/ holds no initdb");
    assert_eq!(
        error.to_string(),
        "OPTILOCK_PG_BIN is /, where there is no `initdb`: let it name the `bin` directory of a PostgreSQL server, or \
         unset it"
    );
}

#[test]
fn the_newest_of_path_and_installations_is_found() {
    let fakes = FakeBinaries::new();
    let old = fakes.add("9.6.24");
    let path = vec![fakes.add("16.4"), PathBuf::from("/nowhere")];
    let by_path = Environment { path, ..nothing() };
    assert_eq!(
        binaries::find(&by_path)
            .expect("OPTILOCK_PG_BIN is not set")
            .expect("one")
            .version,
        (16, 4)
    );
    let everywhere = Environment {
        installations: vec![fakes.path()],
        ..by_path
    };
    let beta = fakes.add("18beta1");
    fakes.add("16.11");
    let found = binaries::find(&everywhere)
        .expect("OPTILOCK_PG_BIN is not set")
        .expect("several");
    assert_eq!((found.version, &found.directory), ((18, 0), &beta));

    let only_old = Environment {
        path: vec![old.clone()],
        ..nothing()
    };
    assert_eq!(
        binaries::find(&only_old).expect("OPTILOCK_PG_BIN is not set"),
        None
    );
    let too_old = Environment {
        pg_bin: Some(old),
        ..everywhere
    };
    let error = binaries::find(&too_old)
        .expect_err("OPTILOCK_PG_BIN is too old")
        .to_string();
    assert!(error.contains("older than 13"), "{error}");
}

#[test]
fn a_failed_start_shows_the_end_of_the_log() {
    let fakes = FakeBinaries::new();
    let environment = Environment {
        pg_bin: Some(fakes.add("17.1")),
        ..nothing()
    };
    let error = Server::find_or_start_in(&environment, Durability::Fast)
        .expect_err("initdb is a fake")
        .to_string();
    assert!(
        error.contains("initdb failed") && error.contains("the disk is full"),
        "{error}"
    );
}

#[test]
fn the_error_names_every_remedy_in_one_sentence() {
    let error =
        Server::find_or_start_in(&nothing(), Durability::Fast).expect_err("there is no PostgreSQL");
    let message = error.to_string();
    for remedy in [
        "DATABASE_URL",
        "install PostgreSQL",
        "OPTILOCK_PG_BIN",
        "OPTILOCK_FETCH=1",
        "/nowhere",
    ] {
        assert!(message.contains(remedy), "{remedy} is not in: {message}");
    }
    assert!(
        !message.contains('\n') && !message.contains(". "),
        "{message}"
    );
}

#[test]
fn nothing_is_fetched_unless_the_switch_says_so() {
    let fakes = FakeBinaries::new();
    let (clients, calls) = fakes.add_clients();
    let cache = fakes.path().join("cache");
    let forbidden = Environment {
        path: vec![clients],
        cache: Some(cache.clone()),
        ..nothing()
    };
    let error = Server::find_or_start_in(&forbidden, Durability::Fast)
        .expect_err("no PostgreSQL")
        .to_string();
    assert!(error.contains(&cache.display().to_string()), "{error}");
    assert!(!calls.exists() && !cache.exists());

    let allowed = Environment {
        may_fetch: true,
        ..forbidden
    };
    let error = Server::find_or_start_in(&allowed, Durability::Fast)
        .expect_err("no registry")
        .to_string();
    assert!(error.contains("npm: failed, error: no registry"), "{error}");
    let called = std::fs::read_to_string(&calls).expect("clients were called");
    assert_eq!(called, "python3\nnpm\n");
}

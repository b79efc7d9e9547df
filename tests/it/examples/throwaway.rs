//! The server that all other tests stand on: found in the right order, and gone without a trace.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use support::account::Account;
use support::binaries::{self, Binaries};
use support::cluster::Cluster;
use support::environment::Environment;
use support::{Crash, Durability, Error, Server, Source};

/// Set for the child that is killed in `vanishes_when_its_owner_is_killed`.
const VICTIM: &str = "OPTILOCK_TEST_VICTIM";

fn throwaway() -> Environment {
    Environment {
        database_url: None,
        ..Environment::of_process()
    }
}

fn nothing() -> Environment {
    Environment {
        database_url: None,
        pg_bin: None,
        path: Vec::new(),
        installations: Vec::new(),
        may_fetch: false,
        cache: Some(PathBuf::from("/nowhere")),
        account: Account::of_server(),
    }
}

fn here() -> Binaries {
    binaries::find(&throwaway())
        .expect("OPTILOCK_PG_BIN, if set, is fit")
        .unwrap_or_else(|| {
            support::fetch::fetch(&throwaway()).expect("there is a PostgreSQL to be had")
        })
}

/// Directories of scripts that pass for a PostgreSQL, where the server's account can read them.
struct Pretenders(PathBuf);

impl Pretenders {
    fn new() -> Self {
        let path = PathBuf::from(format!(
            "/tmp/optilock-pretenders-{}-{:08x}",
            std::process::id(),
            rand::random::<u32>()
        ));
        std::fs::create_dir(&path).expect("/tmp is writable");
        Self(path)
    }

    /// Written by another process: a script that any thread of ours has open for writing cannot be run.
    fn add(&self, version: &str) -> PathBuf {
        let directory = self.0.join(version).join("bin");
        let script = r#"mkdir -p "$0" && cd "$0" && chmod 755 .. ../.. &&
            printf '#!/bin/sh\necho "postgres (PostgreSQL) %s (Pretended)"\n' "$1" >postgres &&
            printf '#!/bin/sh\necho first; echo the disk is full >&2; exit 1\n' >initdb && chmod 755 postgres initdb"#;
        let made = Command::new("/bin/sh")
            .args(["-c", script])
            .arg(&directory)
            .arg(version)
            .status();
        assert!(made.is_ok_and(|status| status.success()));
        directory
    }
}

impl Drop for Pretenders {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn is_alive(process: u32) -> bool {
    Command::new("kill")
        .args(["-0", &process.to_string()])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn vanishes_when_dropped() {
    let cluster =
        Cluster::start(&here(), &Account::of_server(), Durability::Fast).expect("a cluster");
    let directory = cluster.directory().to_owned();
    let process = cluster.postmaster().expect("a ready server has a process");
    assert!(directory.exists() && is_alive(process));
    drop(cluster);
    assert!(!directory.exists() && !is_alive(process));
}

#[test]
fn victim() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let cluster =
        Cluster::start(&here(), &Account::of_server(), Durability::Fast).expect("a cluster");
    println!(
        "\nvictim {} {}",
        cluster.postmaster().expect("a process"),
        cluster.directory().display()
    );
    loop {
        std::thread::park();
    }
}

fn spawn_victim() -> Child {
    Command::new(std::env::current_exe().expect("a test has a binary"))
        .args(["throwaway::victim", "--exact", "--nocapture"])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary runs")
}

#[test]
fn vanishes_when_its_owner_is_killed() {
    let mut owner = spawn_victim();
    let output = BufReader::new(owner.stdout.take().expect("a pipe was asked for"));
    let line = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("victim ").map(str::to_owned))
        .expect("the victim says what it started");
    let (process, directory) = line.split_once(' ').expect("two words");
    let (process, directory) = (process.parse().expect("a number"), PathBuf::from(directory));
    assert!(directory.exists() && is_alive(process));
    owner.kill().expect("it is ours");
    owner.wait().expect("it is ours");
    eventually("server gone", || !is_alive(process));
    eventually("directory gone", || !directory.exists());
}

#[test]
fn vanishes_when_its_owner_is_killed_during_initdb() {
    let mut owner = spawn_victim();
    let prefix = format!("optilock-{}-", owner.id());
    let directories = || {
        let places = [
            PathBuf::from("/dev/shm"),
            PathBuf::from("/tmp"),
            std::env::temp_dir(),
        ];
        let entries = places
            .into_iter()
            .filter_map(|place| std::fs::read_dir(place).ok())
            .flatten()
            .flatten();
        entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
            .count()
    };
    eventually("directory made", || directories() > 0);
    owner.kill().expect("it is ours");
    owner.wait().expect("it is ours");
    eventually("directory gone", || directories() == 0);
}

#[tokio::test]
async fn keeps_what_was_committed_through_crashes() {
    let mut server = Server::find_or_start_in(&throwaway(), Durability::Fast).expect("a server");
    let database = server.create_database("crash").await.expect("a database");
    let mut connection = PgConnection::connect_with(&database.options())
        .await
        .expect("a connection");
    sqlx::raw_sql("CREATE TABLE kept (n int)")
        .execute(&mut connection)
        .await
        .expect("a table");
    for (n, crash) in [Crash::Quit, Crash::Kill, Crash::Kill]
        .into_iter()
        .enumerate()
    {
        sqlx::raw_sql("INSERT INTO kept VALUES (1)")
            .execute(&mut connection)
            .await
            .expect("a row");
        server.crash_and_restart(crash).expect("it comes up again");
        connection = PgConnection::connect_with(&database.options())
            .await
            .expect("a connection");
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM kept")
            .fetch_one(&mut connection)
            .await
            .expect("rows");
        assert_eq!(rows, n as i64 + 1, "after {crash:?}");
    }
}

#[tokio::test]
async fn databases_come_and_go_without_touching_others() {
    let server = Server::find_or_start_in(&throwaway(), Durability::Fast).expect("a server");
    assert_eq!(server.source(), Source::Throwaway);
    assert!(
        !server.durable() && server.version().starts_with("PostgreSQL "),
        "{server:?}"
    );
    // The same server as if somebody had named it.
    let named = Environment {
        database_url: Some(server.url_of("postgres")),
        ..nothing()
    };
    let named = Server::find_or_start_in(&named, Durability::Durable).expect("a server by its URL");
    assert_eq!(
        (named.source(), named.version(), named.durable()),
        (Source::Url, server.version(), false)
    );
    drop(named);

    let names = async || -> Vec<String> {
        let mut connection = PgConnection::connect_with(&server.options_of("postgres"))
            .await
            .expect("a connection");
        sqlx::query_scalar("SELECT datname FROM pg_database ORDER BY 1")
            .fetch_all(&mut connection)
            .await
            .expect("names")
    };
    let before = names().await;
    let template = server
        .create_database("template")
        .await
        .expect("a database");
    let mut connection = PgConnection::connect(template.url())
        .await
        .expect("a connection by URL");
    sqlx::raw_sql("CREATE TABLE copied AS SELECT 7 AS n")
        .execute(&mut connection)
        .await
        .expect("a table");
    connection.close().await.expect("nothing to lose");

    let copy = server
        .create_database_from("copy", &template)
        .await
        .expect("a copy");
    let mut connection = PgConnection::connect_with(&copy.options())
        .await
        .expect("a connection");
    let n: i32 = sqlx::query_scalar("SELECT n FROM copied")
        .fetch_one(&mut connection)
        .await
        .expect("the row");
    assert_eq!(n, 7);
    assert_eq!(names().await.len(), before.len() + 2);
    // With a connection still open.
    copy.remove().await.expect("dropped");
    drop(template);
    assert_eq!(names().await, before);
}

#[test]
fn prefers_the_url_and_never_falls_back_from_it() {
    let environment = Environment {
        database_url: Some("postgres://nobody@127.0.0.1:1/none".to_owned()),
        ..throwaway()
    };
    let error = Server::find_or_start_in(&environment, Durability::Fast)
        .expect_err("nothing listens on port 1");
    assert!(matches!(error, Error::Url(_)), "{error}");
}

#[test]
fn refuses_an_unfit_opt_pg_bin() {
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
fn takes_the_newest_of_path_and_installations() {
    let pretenders = Pretenders::new();
    let old = pretenders.add("9.6.24");
    let path = vec![pretenders.add("16.4"), PathBuf::from("/nowhere")];
    let by_path = Environment { path, ..nothing() };
    assert_eq!(
        binaries::find(&by_path)
            .expect("no wish")
            .expect("one")
            .version,
        (16, 4)
    );
    let everywhere = Environment {
        installations: vec![pretenders.0.clone()],
        ..by_path
    };
    let beta = pretenders.add("18beta1");
    pretenders.add("16.11");
    let found = binaries::find(&everywhere)
        .expect("no wish")
        .expect("several");
    assert_eq!((found.version, &found.directory), ((18, 0), &beta));

    let only_old = Environment {
        path: vec![old.clone()],
        ..nothing()
    };
    assert_eq!(binaries::find(&only_old).expect("no wish"), None);
    let wish = Environment {
        pg_bin: Some(old),
        ..everywhere
    };
    let error = binaries::find(&wish)
        .expect_err("it is too old, and a wish")
        .to_string();
    assert!(error.contains("older than 13"), "{error}");
}

#[test]
fn shows_the_end_of_the_log_when_it_fails() {
    let pretenders = Pretenders::new();
    let environment = Environment {
        pg_bin: Some(pretenders.add("17.1")),
        ..nothing()
    };
    let error = Server::find_or_start_in(&environment, Durability::Fast)
        .expect_err("a pretender")
        .to_string();
    assert!(
        error.contains("initdb failed") && error.contains("the disk is full"),
        "{error}"
    );
}

#[test]
fn says_in_one_sentence_what_can_be_done() {
    let error =
        Server::find_or_start_in(&nothing(), Durability::Fast).expect_err("nothing is to be found");
    let message = error.to_string();
    for way in [
        "DATABASE_URL",
        "install PostgreSQL",
        "OPTILOCK_PG_BIN",
        "OPTILOCK_NO_FETCH",
    ] {
        assert!(message.contains(way), "{way} is not in: {message}");
    }
    assert!(
        !message.contains('\n') && !message.contains(". "),
        "{message}"
    );
}

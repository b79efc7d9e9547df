//! The throwaway server of all other tests: it is removed completely, and it keeps data through crashes.
#![cfg(unix)]

mod fake_binaries;
mod search;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use support::account::Account;
use support::binaries::{self, Binaries};
use support::cluster::Cluster;
use support::environment::Environment;
use support::{Crash, Durability, Server, Source};

/// Set in the child process that a test kills.
const OWNER: &str = "OPTILOCK_TEST_OWNER";

/// Returns the environment of this process without `DATABASE_URL`.
fn throwaway() -> Environment {
    Environment {
        database_url: None,
        ..Environment::of_process()
    }
}

/// Returns an environment without any PostgreSQL.
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

fn local_binaries() -> Binaries {
    binaries::find(&throwaway())
        .expect("OPTILOCK_PG_BIN, if set, is usable")
        .unwrap_or_else(|| {
            support::fetch::fetch(&throwaway()).expect("a PostgreSQL can be fetched")
        })
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
fn a_server_is_removed_on_drop() {
    let cluster = Cluster::start(&local_binaries(), &Account::of_server(), Durability::Fast)
        .expect("a cluster");
    let directory = cluster.directory().to_owned();
    let process = cluster.postmaster().expect("a ready server has a process");
    assert!(directory.exists() && is_alive(process));
    drop(cluster);
    assert!(!directory.exists() && !is_alive(process));
}

#[test]
fn owner() {
    if std::env::var_os(OWNER).is_none() {
        return;
    }
    let cluster = Cluster::start(&local_binaries(), &Account::of_server(), Durability::Fast)
        .expect("a cluster");
    let standby = cluster.start_standby().expect("a standby");
    for cluster in [&cluster, &standby] {
        println!(
            "\nserver {} {}",
            cluster.postmaster().expect("a process"),
            cluster.directory().display()
        );
    }
    loop {
        std::thread::park();
    }
}

fn spawn_owner() -> Child {
    Command::new(std::env::current_exe().expect("a test has a binary"))
        .args([
            concat!(module_path!(), "::owner").trim_start_matches("it::"),
            "--exact",
            "--nocapture",
        ])
        .env(OWNER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the test binary runs")
}

#[test]
fn a_server_and_its_standby_are_removed_when_their_owner_is_killed() {
    let mut owner = spawn_owner();
    let output = BufReader::new(owner.stdout.take().expect("stdout is a pipe"));
    let servers: Vec<(u32, PathBuf)> = output
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| {
            let (process, directory) = line.strip_prefix("server ")?.split_once(' ')?;
            Some((process.parse().ok()?, PathBuf::from(directory)))
        })
        .take(2)
        .collect();
    assert_eq!(servers.len(), 2, "the owner prints its servers");
    for (process, directory) in &servers {
        assert!(directory.exists() && is_alive(*process));
    }
    owner.kill().expect("the child can be waited for");
    owner.wait().expect("the child can be waited for");
    for (process, directory) in servers {
        eventually("server gone", || !is_alive(process));
        eventually("directory gone", || !directory.exists());
    }
}

#[test]
fn a_server_is_removed_when_its_owner_is_killed_during_initdb() {
    let mut owner = spawn_owner();
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
    eventually("directory created", || directories() > 0);
    owner.kill().expect("the child can be waited for");
    owner.wait().expect("the child can be waited for");
    eventually("directory gone", || directories() == 0);
}

#[tokio::test]
async fn committed_rows_survive_crashes_of_the_server() {
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
        server
            .crash_and_restart(crash)
            .expect("the server restarts");
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
async fn a_promoted_standby_accepts_writes_and_is_removed_on_drop() {
    let mut primary = Server::find_or_start_in(&throwaway(), Durability::Fast).expect("a server");
    let database = primary
        .create_database("standby")
        .await
        .expect("a database");
    let standby = primary.start_standby().expect("a standby");
    let mut connection = PgConnection::connect_with(&standby.options_of(database.name()))
        .await
        .expect("a connection to the standby");
    let create = "CREATE TABLE written (n int)";
    let refused = sqlx::raw_sql(create).execute(&mut connection).await;
    let refused = refused.expect_err("a standby only reads");
    let code = refused.as_database_error().and_then(|error| error.code());
    assert_eq!(code.as_deref(), Some("25006"));
    primary.crash(Crash::Quit).expect("the server is its own");
    standby.promote().expect("a primary");
    sqlx::raw_sql(create)
        .execute(&mut connection)
        .await
        .expect("a table");
    let directory = standby.options_of("postgres").get_socket().cloned();
    let directory = directory.expect("a throwaway server has a socket");
    assert!(directory.exists());
    drop(standby);
    assert!(!directory.exists());
}

#[tokio::test]
async fn databases_are_created_and_dropped_without_touching_others() {
    let server = Server::find_or_start_in(&throwaway(), Durability::Fast).expect("a server");
    assert_eq!(server.source(), Source::Throwaway);
    assert!(
        !server.durable() && server.version().starts_with("PostgreSQL "),
        "{server:?}"
    );
    // The same server, by its URL.
    let by_url = Environment {
        database_url: Some(server.url_of("postgres")),
        ..nothing()
    };
    let by_url =
        Server::find_or_start_in(&by_url, Durability::Durable).expect("a server by its URL");
    assert_eq!(
        (by_url.source(), by_url.version(), by_url.durable()),
        (Source::Url, server.version(), false)
    );
    drop(by_url);

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
    connection.close().await.expect("the connection closes");

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
    // A connection is still open.
    copy.remove().await.expect("dropped");
    drop(template);
    assert_eq!(names().await, before);
}

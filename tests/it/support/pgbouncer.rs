//! A pgbouncer in transaction mode, which is stopped and removed with its value or its program.

use std::{
    env,
    ffi::OsString,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Stdio},
};

use optilock::sqlx::{PgPool, postgres::PgConnectOptions};
use support::account::Account;

use super::db::{eventually, pool_options};

const NEEDED: &str =
    "this test needs pgbouncer 1.21 or newer: install it, or set OPTILOCK_PGBOUNCER to its binary";

/// The end of its standard input stops it.
const SUPERVISOR: &str = r#"
umask 077
mkdir "$1" && printf '%s' "$3" >"$1/pgbouncer.ini" || exit
"$2" "$1/pgbouncer.ini" </dev/null >"$1/log" 2>&1 &
cat >/dev/null
kill $!
wait
rm -rf "$1"
"#;

pub struct Pgbouncer {
    directory: PathBuf,
    options: PgConnectOptions,
    supervisor: Child,
    input: Option<ChildStdin>,
}

impl Pgbouncer {
    /// Starts one that shares `connections` of the server among its clients.
    pub async fn start(server: &PgConnectOptions, connections: u32) -> Self {
        let socket = server.get_socket();
        let socket = socket.expect("unset DATABASE_URL: pgbouncer runs before a throwaway server");
        let account = Account::of_server();
        let program = program(&account);
        let directory = PathBuf::from(format!("/tmp/optilock-pgb-{:016x}", rand::random::<u64>()));
        let configuration = format!(
            "[databases]\n* = host={} port={} user={}\n[pgbouncer]\npool_mode = transaction\n\
             unix_socket_dir = {}\nlisten_port = 6432\nauth_type = any\nmax_client_conn = 500\n\
             default_pool_size = {connections}\nmax_prepared_statements = 200\n\
             ignore_startup_parameters = extra_float_digits\n",
            socket.display(),
            server.get_port(),
            server.get_username(),
            directory.display(),
        );
        let mut supervisor = account
            .command("/bin/sh")
            .args(["-c", SUPERVISOR, "optilock-pgbouncer"])
            .arg(&directory)
            .arg(program)
            .arg(configuration)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("/bin/sh can be run");
        let database = server.get_database().expect("a test's database has a name");
        let options = PgConnectOptions::new_without_pgpass()
            .socket(&directory)
            .port(6432)
            .username(server.get_username())
            .database(database);
        let input = supervisor.stdin.take();
        let pooler = Self {
            directory,
            options,
            supervisor,
            input,
        };
        eventually("pgbouncer listens", async || {
            pooler.directory.join(".s.PGSQL.6432").exists()
        })
        .await;
        pooler
    }

    /// Connects a pool of clients.
    pub async fn pool(&self, connections: u32) -> PgPool {
        pool_options(connections)
            .connect_with(self.options.clone())
            .await
            .expect("a connection through pgbouncer")
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.supervisor.wait();
    }
}

/// Returns a pgbouncer that keeps prepared statements in transaction mode.
fn program(account: &Account) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|directory| directory.join("pgbouncer"));
    let named = env::var_os("OPTILOCK_PGBOUNCER").map(|it: OsString| PathBuf::from(it));
    let program = match named {
        Some(named) => Some(named),
        None => found
            .chain([PathBuf::from("/usr/sbin/pgbouncer")])
            .find(|program| program.is_file()),
    };
    let program = program.expect(NEEDED);
    let version = version(account, &program);
    assert!(
        version >= Some((1, 21)),
        "{NEEDED} ({} is {version:?})",
        program.display()
    );
    program
}

fn version(account: &Account, program: &Path) -> Option<(u32, u32)> {
    let output = account.command(program).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.lines().next()?.strip_prefix("PgBouncer ")?;
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::account::Account;
use super::binaries::Binaries;
use super::{Crash, Durability};

/// The superuser.
pub const USER: &str = "postgres";

const PATIENCE: Duration = Duration::from_secs(30);

/// A socket's path may have 103 bytes on macOS; this leaves room for our directory and `.s.PGSQL.5432`.
const LONGEST_TEMP: usize = 60;

/// Linux keeps this in memory. A database of some 1,000 files is made here in a tenth of the time.
const MEMORY: &str = "/dev/shm";

/// What must be free there, in KiB: containers often give it 64 MB, and a full one would fail the tests.
const ROOM: u64 = 2 * 1024 * 1024;

/// Takes orders on its stdin. The end of it means that we are gone, by SIGKILL even: then the server and its files go
/// too. It makes them all itself, so that there is no moment at which one has no guard. The file `down` is
/// there whenever no server runs; only its waiting parent, a subshell, can know that for certain.
const SUPERVISOR: &str = r#"
dir=$1 bin=$2; shift 2
umask 077
mkdir "$dir" || exit
trap : PIPE # An answer to one who is gone must not end us before the clean-up.
stop() {
    until [ -e "$dir/down" ] || kill -"$1" "$(head -n 1 "$dir/data/postmaster.pid")"; do sleep 0.02; done 2>/dev/null
    wait
}
: >"$dir/down"
while read -r order; do
    case $order in
    init)
        "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-locale --no-sync </dev/null >>"$dir/log" 2>&1
        echo $? ;;
    start)
        rm -f "$dir/down"
        { "$bin/postgres" -D "$dir/data" -k "$dir" "$@" </dev/null >>"$dir/log" 2>&1; : >"$dir/down"; } >/dev/null &
        echo 0 ;;
    *)
        stop "$order"
        echo 0 ;;
    esac
done
stop QUIT
tries=0
until rm -rf "$dir" || [ $tries -ge 100 ]; do tries=$((tries + 1)); sleep 0.02; done 2>/dev/null
"#;

/// A running cluster in a directory of its own, reachable by a Unix socket in there and not by network.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    supervisor: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Cluster {
    /// # Errors
    /// What went wrong, with the end of the server's log.
    pub fn start(
        binaries: &Binaries,
        account: &Account,
        durability: Durability,
    ) -> Result<Self, String> {
        let directory = directory(account, durability);
        let mut command = account.command("/bin/sh");
        command
            .args(["-c", SUPERVISOR, "optilock-supervisor"])
            .arg(&directory)
            .arg(&binaries.directory);
        for setting in settings(durability) {
            command.arg("-c").arg(setting);
        }
        // In a group of its own: Ctrl-C is for us, and our end is what the supervisor waits for.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut supervisor = command
            .spawn()
            .map_err(|error| format!("/bin/sh could not be run ({error})"))?;
        let orders = supervisor.stdin.take();
        let answers = BufReader::new(supervisor.stdout.take().expect("it was asked for a pipe"));
        let mut cluster = Self {
            directory,
            supervisor,
            orders,
            answers,
        };
        if cluster.order("init")? != "0" {
            return Err(cluster.failure("initdb failed"));
        }
        cluster.launch()?;
        Ok(cluster)
    }

    /// Where the socket is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    #[must_use]
    pub fn postmaster(&self) -> Option<u32> {
        self.pid_file().lines().next()?.parse().ok()
    }

    /// # Errors
    /// What went wrong, with the end of the server's log.
    pub fn crash_and_restart(&mut self, crash: Crash) -> Result<(), String> {
        self.order(match crash {
            Crash::Quit => "QUIT",
            Crash::Kill => "KILL",
        })?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.launch() {
                // Backends of a killed postmaster may linger, and a new one refuses to start beside them.
                Err(failure) if failure.contains("still in use") && Instant::now() < deadline => {
                    pause()
                }
                outcome => return outcome,
            }
        }
    }

    fn launch(&mut self) -> Result<(), String> {
        // What a killed server left says that it is ready.
        let stale = self.postmaster();
        self.order("start")?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.directory.join("down").exists() {
                return Err(self.failure("it stopped while starting"));
            }
            let ready = self
                .pid_file()
                .lines()
                .nth(7)
                .is_some_and(|status| status.trim() == "ready");
            if ready && self.postmaster() != stale {
                return Ok(());
            }
            pause();
        }
        Err(self.failure(&format!("it was not ready after {} s", PATIENCE.as_secs())))
    }

    fn pid_file(&self) -> String {
        std::fs::read_to_string(self.directory.join("data/postmaster.pid")).unwrap_or_default()
    }

    fn order(&mut self, order: &str) -> Result<String, String> {
        let orders = self
            .orders
            .as_mut()
            .expect("only dropping gives the pipe up");
        let mut answer = String::new();
        writeln!(orders, "{order}")
            .and_then(|()| self.answers.read_line(&mut answer))
            .ok()
            .filter(|&length| length > 0)
            .map(|_| answer.trim().to_owned())
            .ok_or_else(|| {
                format!(
                    "nobody looks after {}, if it could be made at all",
                    self.directory.display()
                )
            })
    }

    fn failure(&self, what: &str) -> String {
        let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let end = lines[lines.len().saturating_sub(8)..].join("\n  ");
        format!("{what}, and its log ends\n  {end}\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.supervisor.wait();
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(3));
}

fn directory(account: &Account, durability: Durability) -> PathBuf {
    let memory = Path::new(MEMORY);
    let temp = std::env::temp_dir();
    let temp = if durability == Durability::Fast && free(memory) >= ROOM {
        memory.to_owned()
    } else if account.is_another() || temp.as_os_str().len() > LONGEST_TEMP {
        // Another account may have no way into a temporary directory of ours.
        PathBuf::from("/tmp")
    } else {
        temp
    };
    temp.join(format!(
        "optilock-{}-{:08x}",
        std::process::id(),
        rand::random::<u32>()
    ))
}

/// In KiB.
fn free(directory: &Path) -> u64 {
    let output = Command::new("df").arg("-Pk").arg(directory).output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    text.lines()
        .nth(1)
        .and_then(|line| line.split_whitespace().nth(3)?.parse().ok())
        .unwrap_or(0)
}

fn settings(durability: Durability) -> Vec<&'static str> {
    let mut settings = vec![
        "listen_addresses=",
        "max_connections=400",
        "shared_buffers=128MB",
        "autovacuum_naptime=5s",
    ];
    if durability == Durability::Fast {
        // Never synchronous_commit=off: acknowledged commits would be lost when a test crashes the server.
        settings.extend(["fsync=off", "full_page_writes=off", "synchronous_commit=on"]);
        // It lies in memory.
        settings.push("max_wal_size=256MB");
    }
    settings
}

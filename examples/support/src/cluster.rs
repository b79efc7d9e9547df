//! A throwaway cluster and its supervisor.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use super::account::Account;
use super::binaries::Binaries;
use super::{Crash, Durability};

/// The name of the superuser.
pub(crate) const USER: &str = "postgres";

/// The limit of starting a server.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// The path of a socket is limited to 103 bytes on macOS; this leaves room for the directory and `.s.PGSQL.5432`.
const MAX_TEMP_PATH: usize = 60;

/// In memory on Linux. Creating a database of about 1,000 files takes a tenth of the time here.
const MEMORY: &str = "/dev/shm";

/// The minimum of free memory in KiB. In containers the limit is often 64 MB, which is too small for the tests.
const MIN_FREE: u64 = 2 * 1024 * 1024;

/// Executes commands from its standard input. At the end of the input, this process has ended, possibly by SIGKILL:
/// then the supervisor stops the server and removes its files. It creates all files itself, so that they are
/// supervised at any time. The file `down` exists while no server runs; it is created by the parent of the server,
/// a subshell.
const SUPERVISOR: &str = r#"
dir=$1 bin=$2; shift 2
umask 077
mkdir "$dir" || exit
trap : PIPE # Writing a reply after the process has ended must not end this script before the clean-up.
stop() {
    until [ -e "$dir/down" ] || kill -"$1" "$(head -n 1 "$dir/data/postmaster.pid")"; do sleep 0.02; done 2>/dev/null
    wait
}
: >"$dir/down"
while read -r command; do
    case $command in
    init)
        "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --no-locale --no-sync </dev/null >>"$dir/log" 2>&1
        echo $? ;;
    copy\ *)
        "$bin/pg_basebackup" -D "$dir/data" -h "${command#copy }" -p 5432 -U postgres -w -R -c fast --no-sync </dev/null >>"$dir/log" 2>&1
        echo $? ;;
    start)
        rm -f "$dir/down"
        { "$bin/postgres" -D "$dir/data" -k "$dir" "$@" </dev/null >>"$dir/log" 2>&1; : >"$dir/down"; } >/dev/null &
        echo 0 ;;
    *)
        stop "$command"
        echo 0 ;;
    esac
done
stop QUIT
tries=0
until rm -rf "$dir" || [ $tries -ge 100 ]; do tries=$((tries + 1)); sleep 0.02; done 2>/dev/null
"#;

/// What a cluster runs, and as whom.
#[derive(Clone, Debug)]
struct Setup {
    binaries: Binaries,
    account: Account,
    durability: Durability,
}

/// A running cluster in a directory of its own. It accepts connections only on a Unix socket in that directory.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    setup: Setup,
    supervisor: Child,
    commands: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
}

impl Cluster {
    /// Creates a cluster and starts its server.
    ///
    /// # Errors
    /// The failure, with the end of the server's log.
    pub fn start(
        binaries: &Binaries,
        account: &Account,
        durability: Durability,
    ) -> Result<Self, String> {
        let mut cluster = Self::supervised(Setup {
            binaries: binaries.clone(),
            account: account.clone(),
            durability,
        })?;
        if cluster.execute("init")? != "0" {
            return Err(cluster.failure("initdb failed"));
        }
        cluster.launch()?;
        Ok(cluster)
    }

    /// Copies the cluster while its server runs, and starts the copy as a standby.
    ///
    /// # Errors
    /// The failure, with the end of the standby's log.
    pub fn start_standby(&self) -> Result<Self, String> {
        let bin = &self.setup.binaries.directory;
        if !bin.join("pg_basebackup").is_file() {
            return Err(format!(
                "there is no `pg_basebackup`, which starts a standby, in {}",
                bin.display()
            ));
        }
        let mut standby = Self::supervised(self.setup.clone())?;
        if standby.execute(&format!("copy {}", self.directory.display()))? != "0" {
            return Err(standby.failure("pg_basebackup failed"));
        }
        standby.launch()?;
        Ok(standby)
    }

    /// Starts the supervisor of a cluster.
    fn supervised(setup: Setup) -> Result<Self, String> {
        let directory = directory(&setup.account, setup.durability);
        let mut command = setup.account.command("/bin/sh");
        command
            .args(["-c", SUPERVISOR, "optilock-supervisor"])
            .arg(&directory)
            .arg(&setup.binaries.directory);
        for setting in settings(setup.durability) {
            command.arg("-c").arg(setting);
        }
        // In a process group of its own: Ctrl-C must end this process, not the supervisor.
        command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut supervisor = command
            .spawn()
            .map_err(|error| format!("/bin/sh could not be run ({error})"))?;
        let commands = supervisor.stdin.take();
        let replies = BufReader::new(supervisor.stdout.take().expect("stdout is a pipe"));
        Ok(Self {
            directory,
            setup,
            supervisor,
            commands,
            replies,
        })
    }

    /// Returns the directory of the socket.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the process id of the server, if it runs.
    #[must_use]
    pub fn postmaster(&self) -> Option<u32> {
        self.pid_file().lines().next()?.parse().ok()
    }

    /// Crashes the server.
    ///
    /// # Errors
    /// The supervisor has ended.
    pub fn crash(&mut self, crash: Crash) -> Result<(), String> {
        let signal = match crash {
            Crash::Quit => "QUIT",
            Crash::Kill => "KILL",
        };
        self.execute(signal).map(drop)
    }

    /// Starts the server after a crash.
    ///
    /// # Errors
    /// The failure, with the end of the server's log.
    pub fn restart(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            match self.launch() {
                // A new postmaster does not start while backends of a killed one are still running.
                Err(_) if Instant::now() < deadline => pause(),
                outcome => return outcome,
            }
        }
    }

    fn launch(&mut self) -> Result<(), String> {
        // The pid file of a killed server still has the status "ready".
        let stale = self.postmaster();
        self.execute("start")?;
        let deadline = Instant::now() + START_TIMEOUT;
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
        Err(self.failure(&format!(
            "it was not ready after {} s",
            START_TIMEOUT.as_secs()
        )))
    }

    fn pid_file(&self) -> String {
        std::fs::read_to_string(self.directory.join("data/postmaster.pid")).unwrap_or_default()
    }

    fn execute(&mut self, command: &str) -> Result<String, String> {
        let commands = self.commands.as_mut().expect("the pipe is open until drop");
        let mut reply = String::new();
        writeln!(commands, "{command}")
            .and_then(|()| self.replies.read_line(&mut reply))
            .ok()
            .filter(|&length| length > 0)
            .map(|_| reply.trim().to_owned())
            .ok_or_else(|| format!("the supervisor of {} has ended", self.directory.display()))
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
        self.commands = None;
        let _ = self.supervisor.wait();
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(3));
}

fn directory(account: &Account, durability: Durability) -> PathBuf {
    let memory = Path::new(MEMORY);
    let temp = std::env::temp_dir();
    let temp = if durability == Durability::Fast && free(memory) >= MIN_FREE {
        memory.to_owned()
    } else if account.is_another() || temp.as_os_str().len() > MAX_TEMP_PATH {
        // Another account may have no access to the temporary directory of this user.
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

/// Returns the free space in KiB.
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
        // Limits the use of memory by the data directory.
        settings.push("max_wal_size=256MB");
    } else {
        settings.push("max_wal_size=2GB");
    }
    settings
}

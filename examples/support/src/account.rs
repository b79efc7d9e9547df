//! The operating system account of the server.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The account that runs the server: that of this process, or another one if this process runs as root, which
/// PostgreSQL refuses.
#[derive(Clone, Debug)]
pub struct Account {
    own: u32,
    other: Option<(u32, u32)>,
}

impl Account {
    /// Determines the account for this process.
    #[must_use]
    pub fn of_server() -> Self {
        // If the id is unknown, assume an ordinary user: `initdb` refuses root with a clear message.
        let own = id(&["-u"]).unwrap_or(u32::MAX);
        let known = || {
            ["postgres", "nobody"]
                .iter()
                .find_map(|name| Some((id(&["-u", name])?, id(&["-g", name])?)))
        };
        Self {
            own,
            other: (own == 0).then(|| known().unwrap_or((65_534, 65_534))),
        }
    }

    /// Returns whether the account differs from that of this process.
    pub(crate) fn is_another(&self) -> bool {
        self.other.is_some()
    }

    /// Returns whether only this process's user and root can have written a file of `owner`.
    pub(crate) fn trusts(&self, owner: u32) -> bool {
        owner == 0 || owner == self.own
    }

    /// Returns a command that runs as this account, without the environment of this process: it must see neither
    /// PGDATA nor secrets.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .current_dir("/");
        for name in ["PATH", "LD_LIBRARY_PATH"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some((user, group)) = self.other {
            command.uid(user).gid(group);
        }
        command
    }
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

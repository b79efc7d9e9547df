use std::path::{Path, PathBuf};

#[cfg(unix)]
use super::account::Account;

/// Everything that the search for a server reads from around it, gathered in one place so that tests can vary it.
#[derive(Clone, Debug)]
pub struct Environment {
    /// `DATABASE_URL`.
    pub database_url: Option<String>,
    /// `OPTILOCK_PG_BIN`: these binaries and no others.
    pub pg_bin: Option<PathBuf>,
    /// `PATH`.
    pub path: Vec<PathBuf>,
    /// Directories in which installations lie, or which are one.
    pub installations: Vec<PathBuf>,
    /// False under `OPTILOCK_NO_FETCH`.
    pub may_fetch: bool,
    /// Where fetched binaries are kept.
    pub cache: Option<PathBuf>,
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
            may_fetch: set("OPTILOCK_NO_FETCH").is_none(),
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

fn cache(shared: bool, xdg: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let apple = cfg!(target_os = "macos");
    let base = if shared {
        // The server's account could not reach into root's home.
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

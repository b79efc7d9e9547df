//! The search for PostgreSQL's binaries.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Error;
use super::account::Account;
use super::environment::Environment;

/// The first version with `DROP DATABASE .. WITH (FORCE)`.
const OLDEST: u32 = 13;

/// A directory with an `initdb` and a `postgres` that run on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// The directory.
    pub directory: PathBuf,
    /// The major and the minor version.
    pub version: (u32, u32),
}

impl Binaries {
    /// Checks the binaries in `directory`.
    ///
    /// # Errors
    /// The reason why they cannot be used, as a relative clause about `directory`.
    pub(crate) fn at(directory: &Path, account: &Account) -> Result<Self, String> {
        if let Some(name) = ["initdb", "postgres"]
            .iter()
            .find(|name| !directory.join(name).is_file())
        {
            return Err(format!("where there is no `{name}`"));
        }
        let output = account
            .command(directory.join("postgres"))
            .arg("--version")
            .output()
            .map_err(|error| {
                format!("whose `postgres` cannot be run by the server's account ({error})")
            })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match version(&text) {
            Some(version) if version.0 >= OLDEST => Ok(Self {
                directory: directory.to_owned(),
                version,
            }),
            Some(_) => Err(format!(
                "where there is {}, older than {OLDEST}",
                text.trim()
            )),
            None => Err(format!(
                "whose `postgres` does not run ({})",
                String::from_utf8_lossy(&output.stderr)
                    .lines()
                    .next()
                    .unwrap_or("without a message")
            )),
        }
    }
}

/// Finds the newest binaries on this machine, or those in `OPTILOCK_PG_BIN`.
///
/// # Errors
/// [`Error::UnusableBinaries`] if those in `OPTILOCK_PG_BIN` cannot be used.
pub fn find(environment: &Environment) -> Result<Option<Binaries>, Error> {
    if let Some(directory) = &environment.pg_bin {
        return Binaries::at(directory, &environment.account)
            .map(Some)
            .map_err(|reason| Error::UnusableBinaries {
                directory: directory.display().to_string(),
                reason,
            });
    }
    let found = candidates(environment)
        .into_iter()
        .filter_map(|path| Binaries::at(&path, &environment.account).ok());
    Ok(found.max_by_key(|binaries| binaries.version))
}

fn candidates(environment: &Environment) -> Vec<PathBuf> {
    let mut candidates = environment.path.clone();
    candidates.extend(
        environment
            .path
            .iter()
            .filter_map(|directory| configured(&directory.join("pg_config"))),
    );
    for installation in &environment.installations {
        candidates.push(installation.join("bin"));
        candidates.extend(
            std::fs::read_dir(installation)
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.path().join("bin")),
        );
    }
    // Other files are removed before any is executed. One installation often has several paths.
    candidates.retain(|path| path.join("initdb").is_file());
    for path in &mut candidates {
        if let Ok(real) = path.join("initdb").canonicalize() {
            *path = real.parent().map_or_else(|| path.clone(), Path::to_owned);
        }
    }
    candidates.sort();
    candidates.dedup();
    candidates
}

fn configured(pg_config: &Path) -> Option<PathBuf> {
    let output = pg_config
        .is_file()
        .then(|| Command::new(pg_config).arg("--bindir").output().ok())??;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// Parses "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "18beta1" or "18.4".
fn version(text: &str) -> Option<(u32, u32)> {
    let word = text
        .strip_prefix("postgres (PostgreSQL) ")?
        .split_whitespace()
        .next()?;
    let mut numbers = word
        .split(|c: char| !c.is_ascii_digit())
        .map(|digits| digits.parse().unwrap_or(0));
    Some((
        numbers.next()?,
        numbers.next().filter(|_| word.contains('.')).unwrap_or(0),
    ))
}

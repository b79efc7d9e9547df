//! A release: version, CHANGELOG and tag agree, and its workflow runs nothing that can be replaced.

use std::{fs, path::Path, process::Command};

const CHANGELOG: &str = include_str!("../../../CHANGELOG.md");

/// Returns what does not agree. Between releases `Cargo.toml` has the version of the last one; before the first release
/// no version has a date.
fn disagreement(version: &str, changelog: &str, tags: &[&str]) -> Option<String> {
    let headings = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## ["));
    let headings: Vec<(&str, &str)> = headings.filter_map(|it| it.split_once(']')).collect();
    let mut dated = headings.iter().filter(|(name, _)| *name != "Unreleased");
    let newest = dated.next();
    let has_date = |date: &str| {
        let digits = date.chars().filter(char::is_ascii_digit).count();
        digits == 8 && date.starts_with(" - ") && date.len() == " - 2027-01-31".len()
    };
    match newest {
        Some((name, _)) if *name != version => {
            return Some(format!("Cargo.toml has {version}, CHANGELOG {name}"));
        }
        Some((name, date)) if !has_date(date) => {
            return Some(format!("{name} has no date in CHANGELOG"));
        }
        None if !tags.is_empty() => return Some(format!("{tags:?} is not in CHANGELOG")),
        _ => {}
    }
    let expected = format!("v{version}");
    let other = tags.iter().find(|tag| **tag != expected);
    other.map(|tag| format!("Cargo.toml has {version}, the tag is {tag}"))
}

/// Returns the tags of releases on this commit: none outside of a repository.
fn tags() -> String {
    let mut git = Command::new("git");
    git.args(["tag", "--points-at", "HEAD", "--list", "v[0-9]*"]);
    let tags = git.current_dir(env!("CARGO_MANIFEST_DIR")).output();
    tags.map(|tags| String::from_utf8(tags.stdout).unwrap())
        .unwrap_or_default()
}

#[test]
fn version_changelog_and_tag_agree() {
    let tags = tags();
    let tags: Vec<&str> = tags.lines().collect();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(disagreement(version, CHANGELOG, &tags), None);
}

#[test]
fn each_disagreement_is_found() {
    let unreleased = "# Changelog\n\n## [Unreleased]\n\n### Added\n";
    let released = "## [Unreleased]\n\n## [0.2.0] - 2027-01-31\n\n## [0.1.0] - 2026-12-01\n";
    for (version, changelog, tags) in [
        ("0.1.0", unreleased, &[][..]),
        ("0.2.0", released, &[]),
        ("0.2.0", released, &["v0.2.0"]),
    ] {
        assert_eq!(disagreement(version, changelog, tags), None);
    }
    let undated = released.replace("2027-01-31", "soon");
    for (version, changelog, tags) in [
        ("0.1.0", unreleased, &["v0.1.0"][..]),
        ("0.3.0", released, &[]),
        ("0.1.0", released, &[]),
        ("0.2.0", &undated, &[]),
        ("0.2.0", released, &["v0.2.1"]),
    ] {
        let found = disagreement(version, changelog, tags);
        assert!(found.is_some(), "{version} {tags:?} {changelog}");
    }
}

#[test]
fn the_documents_name_the_oldest_rust() {
    let oldest = format!("Rust {}", env!("CARGO_PKG_RUST_VERSION"));
    for document in [
        include_str!("../../../README.md"),
        include_str!("../../../src/guide/versions.md"),
    ] {
        assert!(document.contains(&oldest), "{oldest}");
    }
}

/// Returns the texts of the workflows.
fn workflows() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.github/workflows");
    let files = fs::read_dir(folder).unwrap();
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    let texts: Vec<String> = texts.collect();
    assert!(texts.len() >= 3);
    texts
}

/// A tag of an action can be moved to other code, a commit cannot.
#[test]
fn actions_are_pinned_by_commit() {
    for workflow in workflows() {
        for line in workflow.lines() {
            let Some((_, action)) = line.split_once("uses: ") else {
                continue;
            };
            let (commit, version) = action
                .split_once('@')
                .and_then(|(_, pinned)| pinned.split_once(" # v"))
                .unwrap_or_else(|| panic!("{action}: not `action@commit # version`"));
            let is_commit = commit.len() == 40 && commit.chars().all(|it| it.is_ascii_hexdigit());
            assert!(is_commit && !version.is_empty(), "{action}");
        }
    }
}

/// A colon before a space makes a mapping of a command, and the file invalid; a `#` ends it.
#[test]
fn commands_of_workflows_are_text() {
    for workflow in workflows() {
        for line in workflow.lines() {
            let Some((_, command)) = line.split_once("run: ") else {
                continue;
            };
            if !command.starts_with(['\'', '|']) {
                let is_text = !command.contains(": ") && !command.contains(" #");
                assert!(is_text, "{command}");
            }
        }
    }
}

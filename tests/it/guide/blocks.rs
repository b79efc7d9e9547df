//! The blocks of the documents that a reader copies: dependencies, and commands of cargo.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// Returns the blocks of this language in a text.
pub fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let begin = format!("```{language}\n");
    let blocks = text.split(begin.as_str()).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap())
        .collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Adds the documents of a folder, with those of its folders.
fn add_documents(folder: &Path, all: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            add_documents(&path, all);
        } else if path.extension().is_some_and(|it| it == "md") {
            let text = fs::read_to_string(&path).unwrap();
            all.push((path, text));
        }
    }
}

/// Returns all documents: README, the guide, the folders' own.
fn documents() -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for file in ["README.md", ".github/CONTRIBUTING.md"] {
        let path = root().join(file);
        let text = fs::read_to_string(&path).unwrap();
        all.push((path, text));
    }
    for folder in ["src", "examples", "tests", "benches"] {
        add_documents(&root().join(folder), &mut all);
    }
    all
}

/// Creates a crate with this manifest, in which cargo needs no network.
fn new_crate(name: &str, manifest: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    let package = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[workspace]\n");
    fs::write(folder.join("Cargo.toml"), format!("{package}\n{manifest}")).unwrap();
    folder
}

/// Runs cargo without a network and returns what it prints.
fn cargo(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(folder)
        .output()
        .unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Each block is the manifest of a crate: its versions and features exist.
#[test]
fn dependencies_resolve() {
    let path = format!("path = {:?}", root().to_str().unwrap());
    let mut count = 0;
    for (document, text) in documents() {
        for block in blocks(&text, "toml") {
            count += 1;
            let manifest = block
                .replace("optilock = \"0.1\"", "optilock = { version = \"0.1\" }")
                .replace("optilock = { ", &format!("optilock = {{ {path}, "));
            assert!(manifest.contains(&path), "{document:?}: {block}");
            let folder = new_crate(&format!("copied-{count}"), &manifest);
            let resolved = cargo(&folder, &["metadata", "--format-version", "1"]);
            resolved.unwrap_or_else(|error| panic!("{document:?}: {block}\n{error}"));
        }
    }
    assert!(count > 4, "{count} blocks");
}

/// Returns the words after `flag` in a command.
fn values<'c>(command: &'c str, flag: &str) -> Vec<&'c str> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let pairs = words.windows(2).filter(|pair| pair[0] == flag);
    pairs.map(|pair| pair[1]).collect()
}

/// Each example, program, benchmark and package that a command names is there; what `cargo add` adds resolves.
#[test]
fn commands_name_what_exists() {
    let metadata = cargo(root(), &["metadata", "--format-version", "1", "--no-deps"]).unwrap();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let targets: Vec<(&str, &str)> = packages
        .iter()
        .flat_map(|package| package["targets"].as_array().unwrap())
        .map(|it| {
            (
                it["kind"][0].as_str().unwrap(),
                it["name"].as_str().unwrap(),
            )
        })
        .collect();
    let mut count = 0;
    for (document, text) in documents() {
        let blocks = blocks(&text, "sh");
        let commands = blocks.iter().flat_map(|block| block.lines());
        for command in commands.map(|line| line.split('#').next().unwrap().trim()) {
            for kind in ["example", "bin", "bench", "test"] {
                for name in values(command, &format!("--{kind}")) {
                    count += 1;
                    let found = targets.contains(&(kind, name));
                    assert!(found, "{document:?}: there is no {name} for {command}");
                }
            }
            for name in values(command, "-p") {
                let mut packages = packages.iter();
                let found = packages.any(|package| package["name"] == name);
                assert!(found, "{document:?}: there is no package for {command}");
            }
        }
    }
    assert!(count > 10, "{count} commands");
}

#[test]
fn what_the_readme_adds_resolves() {
    let readme = include_str!("../../../README.md");
    let folder = new_crate("added", "");
    let path = root().to_str().unwrap();
    let mut added = 0;
    for block in blocks(readme, "sh") {
        for line in block.lines().filter(|line| line.starts_with("cargo add ")) {
            let command = line.split('#').next().unwrap();
            let mut words: Vec<&str> = command.split_whitespace().skip(1).collect();
            if words[1] == "optilock" {
                words.extend(["--path", path]);
            }
            cargo(&folder, &words).unwrap_or_else(|error| panic!("{line}\n{error}"));
            added += 1;
        }
    }
    assert!(added > 1, "{added} commands");
    cargo(&folder, &["metadata", "--format-version", "1"]).unwrap();
}

//! The guide reads as a book: a table of contents, and a question at the head of each page.

use std::{fs, path::Path};

const GUIDE: &str = include_str!("../../../src/guide.rs");

/// Returns the names of the pages, such as `rows` and `es/sre`, and their texts.
fn pages() -> Vec<(&'static str, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/guide");
    let names = GUIDE.split("include_str!(\"guide/").skip(1);
    let names = names.filter_map(|rest| rest.split('"').next()?.strip_suffix(".md"));
    let text = |name| fs::read_to_string(folder.join(format!("{name}.md"))).unwrap();
    let pages: Vec<_> = names.map(|name| (name, text(name))).collect();
    assert!(pages.len() > 25, "{}", pages.len());
    pages
}

#[test]
fn every_page_begins_with_its_question() {
    for (name, text) in pages() {
        let first = text.lines().next().unwrap();
        assert!(first.ends_with('?'), "{name} begins with: {first}");
        assert_eq!(text.lines().nth(1), Some(""), "{name}");
    }
}

#[test]
fn the_contents_list_every_page_with_its_question() {
    let contents: Vec<&str> = GUIDE
        .lines()
        .filter(|line| line.starts_with("//! | "))
        .collect();
    for (name, text) in pages() {
        if name.starts_with("es/") {
            continue;
        }
        let link = format!("]({name}/index.html) |");
        let row = contents.iter().find(|row| row.contains(&link));
        let row = row.unwrap_or_else(|| panic!("{name} is not in the contents"));
        let question = text.lines().next().unwrap();
        assert!(
            row.ends_with(&format!("| {question} |")),
            "{name}: {question}"
        );
    }
    let numbers = contents.iter().filter_map(|row| {
        let number = row.trim_start_matches("//! | ").split(' ').next();
        number.and_then(|it| it.parse::<usize>().ok())
    });
    let numbers: Vec<usize> = numbers.collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

#[test]
fn the_readme_is_short() {
    let readme = include_str!("../../../README.md");
    assert!(readme.len() <= 9 * 1024, "{} bytes", readme.len());
}

//! The commands of the guide's page about promises.

use std::process::Command;

/// Each filter of the page selects at least one test of this program.
#[test]
fn every_command_of_the_guide_runs_a_test() {
    let page = include_str!("../../../src/guide/promises.md");
    let program = std::env::current_exe().unwrap();
    let list = Command::new(program).arg("--list").output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let commands = page.split('`').filter_map(|code| code.strip_prefix("it "));
    let filters: Vec<&str> = commands.collect();
    assert!(filters.len() > 15, "{filters:?}");
    for filter in filters {
        let is_test = |line: &str| line.starts_with(filter) && line.ends_with(": test");
        assert!(list.lines().any(is_test), "no test has the name {filter}");
    }
}

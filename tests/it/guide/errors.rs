//! The guide's table of errors has every kind, with its code and status.

use std::collections::BTreeSet;

use optilock::{inventory, postgres};

const PAGE: &str = include_str!("../../../src/guide/errors.md");

/// Returns the rows: status, kinds, codes.
fn rows() -> Vec<(&'static str, Vec<&'static str>, Vec<&'static str>)> {
    let codes = |cell: &'static str| cell.split('`').skip(1).step_by(2).collect();
    let rows = PAGE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let (status, kinds, names) = (cells.next()?, cells.next()?, cells.next()?);
        let is_status = status.chars().take(3).all(|it| it.is_ascii_digit());
        is_status.then(|| (status, codes(kinds), codes(names)))
    });
    rows.collect()
}

/// Returns the kinds of both floors: name, code, status.
fn kinds() -> BTreeSet<(String, &'static str, u16)> {
    let rows = postgres::ErrorKind::ALL.iter();
    let rows = rows.map(|kind| (format!("{kind:?}"), kind.code(), kind.http_status()));
    let inventory = inventory::ErrorKind::ALL.iter();
    let inventory = inventory.map(|kind| (format!("{kind:?}"), kind.code(), kind.http_status()));
    rows.chain(inventory).collect()
}

#[test]
fn every_kind_has_its_code_and_status() {
    let rows = rows();
    for (kind, code, status) in kinds() {
        let row = rows
            .iter()
            .find(|(_, kinds, _)| kinds.contains(&kind.as_str()));
        let (stated, _, codes) = row.unwrap_or_else(|| panic!("{kind} is not in the table"));
        assert!(codes.contains(&code), "{kind}: {code} is not in {codes:?}");
        assert!(
            stated.starts_with(&status.to_string()),
            "{kind}: {status} is not {stated}"
        );
    }
}

#[test]
fn the_table_names_no_other_kind() {
    let kinds = kinds();
    for (_, names, codes) in rows() {
        for name in names {
            assert!(kinds.iter().any(|(kind, ..)| kind == name), "{name}");
        }
        for code in codes {
            assert!(kinds.iter().any(|(_, known, _)| *known == code), "{code}");
        }
    }
}

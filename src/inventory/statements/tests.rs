use std::collections::HashSet;

use super::*;
use crate::inventory::model::{DiscrepancyKind, HoldState, MovementKind, OrderStatus};

/// Returns names and texts without comments, with slots replaced.
fn sources() -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for (module, all) in sql::ALL
        .into_iter()
        .chain(batch::STATEMENTS.map(|all| ("batch", all)))
    {
        for statement in all {
            let mut source = statement.source.to_owned();
            for (slot, replacement) in statement.slots {
                source = source.replace(slot, replacement);
            }
            let code = source.lines().filter(|line| !line.starts_with("--"));
            let code = code.collect::<Vec<_>>().join(" ");
            sources.push((format!("{module}::{}", statement.name), code));
        }
    }
    sources
}

/// Returns the numbers that a comment names: `2 /* given-back */`.
fn named(source: &str) -> Vec<(i16, &str)> {
    let mut named = Vec::new();
    for (at, _) in source.match_indices(" /* ") {
        let before = &source[..at];
        let digits = before.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let (name, _) = source[at + 4..].split_once(" */").unwrap();
        if let Ok(number) = before[digits..].parse() {
            named.push((number, name));
        }
    }
    named
}

/// Returns the numbers without a name that are compared with `column`, assigned to it, or selected as it.
fn bare<'a>(source: &'a str, column: &str) -> Vec<&'a str> {
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let mut bare = Vec::new();
    for (at, _) in source.match_indices(column) {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let after = &source[at + column.len()..];
        if source[..at].ends_with(word) || after.starts_with(word) {
            continue;
        }
        let operators = [
            " = ",
            " <> ",
            " IS DISTINCT FROM ",
            " IS NOT DISTINCT FROM ",
        ];
        let operand = operators.iter().find_map(|it| after.strip_prefix(it));
        let mut operands: Vec<&str> = operand.into_iter().collect();
        if let Some(list) = after.strip_prefix(" IN (") {
            operands.extend(list[..list.find(')').unwrap()].split(", "));
        }
        if let Some(case) = operand.and_then(|it| it.strip_prefix("CASE ")) {
            let case = &case[..case.find(" END").unwrap()];
            operands.extend(case.split(" THEN ").skip(1));
            operands.extend(case.split(" ELSE ").skip(1));
        }
        for operand in operands {
            let rest = operand.trim_start_matches(|c: char| c.is_ascii_digit());
            if is_number(operand) && !rest.starts_with(" /* ") {
                bare.push(&source[at..(at + 40).min(source.len())]);
            }
        }
    }
    bare
}

/// Splits a list at commas outside of parentheses, until a keyword ends it.
fn list(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        let ends = depth == 0 && (c == ')' || text[at..].starts_with(" FROM "));
        if ends || (depth == 0 && c == ',') {
            parts.push(text[start..at].trim());
            start = at + 1;
        }
        if ends {
            return parts;
        }
        depth += i32::from(c == '(') - i32::from(c == ')');
    }
    parts.push(text[start..].trim());
    parts
}

/// Returns the expressions that a statement inserts into `column`.
fn inserted<'a>(source: &'a str, column: &str) -> Vec<&'a str> {
    let mut inserted = Vec::new();
    for insert in source.split("INSERT INTO ").skip(1) {
        let (_, rest) = insert.split_once('(').unwrap();
        let (columns, values) = rest.split_once(')').unwrap();
        let Some(at) = columns.split(", ").position(|it| it == column) else {
            continue;
        };
        let values = values.trim_start();
        let values = values
            .strip_prefix("SELECT ")
            .or_else(|| values.strip_prefix("VALUES ("));
        inserted.push(list(values.unwrap())[at]);
    }
    inserted
}

#[test]
fn every_statement_has_a_name_of_its_own_and_no_comment() {
    let mut names = HashSet::new();
    for (name, text) in statements() {
        assert!(names.insert(name.clone()), "{name} twice");
        let begins = ["WITH ", "SELECT "].iter().any(|it| text.starts_with(it));
        assert!(begins, "{name}: {text}");
        assert!(
            !text.contains("--") && !text.contains("/*"),
            "{name}: {text}"
        );
        assert!(!text.ends_with([';', ' ', '\n']), "{name}: {text}");
    }
    assert_eq!(names.len(), sources().len());
    assert!(names.len() > 50, "{}", names.len());
}

/// What other engines refuse: Citus does not know the columns that the head of a CTE names, poolers and distributed
/// engines have no advisory locks.
#[test]
fn a_statement_needs_nothing_that_only_one_server_has() {
    for (name, text) in statements() {
        for refused in [
            ") AS (",
            ") AS MATERIALIZED (",
            "advisory",
            "TRIGGER",
            "SET LOCAL",
            "PERFORM",
        ] {
            assert!(!text.contains(refused), "{name} has {refused:?}: {text}");
        }
        // Its tables are in the shop's schema; names without one are of its own CTEs.
        let words: Vec<&str> = text.split_whitespace().collect();
        for words in words.windows(3) {
            let (keyword, of) = (words[1].trim_start_matches('('), words[2]);
            let compares = words[0] == "DISTINCT";
            if !compares
                && matches!(keyword, "FROM" | "JOIN" | "INTO" | "UPDATE")
                && of.contains('.')
            {
                let own = ["optilock.", "pg_catalog."]
                    .iter()
                    .any(|it| of.starts_with(it));
                assert!(own, "{name} names {of}");
            }
        }
    }
}

#[test]
fn the_numbers_in_statements_are_those_of_the_enums() {
    let mut seen = 0;
    for (name, source) in sources() {
        for (number, called) in named(&source) {
            seen += 1;
            let kinds = MovementKind::ALL.map(|it| (it.code(), it.as_str()));
            let statuses = OrderStatus::ALL.map(|it| (it.code(), it.as_str()));
            let states = HoldState::ALL.map(|it| (it.code(), it.as_str()));
            let rules = DiscrepancyKind::ALL.map(|it| (it as i16, it.as_str()));
            let known = if name.starts_with("ledger::AUDIT") {
                &rules[..]
            } else {
                &[]
            };
            let mut all = kinds.iter().chain(&statuses).chain(&states).chain(known);
            assert!(
                all.any(|it| *it == (number, called)),
                "{name}: {number} is not {called}"
            );
        }
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn a_number_of_a_kind_a_status_or_a_state_is_named() {
    let mut columns = 0;
    for (name, source) in sources() {
        for column in ["kind", "status", "state"] {
            let bare = bare(&source, column);
            assert!(bare.is_empty(), "{name}: {bare:?}");
            for value in inserted(&source, column) {
                columns += 1;
                let number = value.starts_with(|c: char| c.is_ascii_digit());
                assert!(!number || value.contains(" /* "), "{name}: {value}");
                assert!(number || value.starts_with('$'), "{name}: {value}");
            }
        }
        // Only these columns are smallints.
        for (at, _) in source.match_indices("::smallint") {
            let digit = source[..at].ends_with(|c: char| c.is_ascii_digit());
            let parameter = source[..at].trim_end_matches(|c: char| c.is_ascii_digit());
            assert!(
                !digit || parameter.ends_with('$'),
                "{name}: {}",
                &source[at - 20..at]
            );
        }
        if name == "ledger::AUDIT" {
            let rules = source.matches(" UNION ALL ").count() + 1;
            assert_eq!(rules, DiscrepancyKind::ALL.len());
            for kind in DiscrepancyKind::ALL {
                let named = format!("SELECT {} /* {} */", kind as i16, kind.as_str());
                assert!(source.contains(&named), "{named}");
            }
        }
    }
    assert!(columns > 10, "{columns}");
}

#[test]
fn the_checks_find_a_bare_number() {
    assert_eq!(bare("WHERE o.status = 2 AND true", "status").len(), 1);
    assert_eq!(
        bare("WHERE h.state IN (0, 3 /* expired */)", "state").len(),
        1
    );
    let case = "SET state = CASE WHEN b.held = 0 THEN 1 ELSE b.state END";
    assert_eq!(bare(case, "state").len(), 1);
    assert!(
        bare(
            "WHERE o.status <> 4 /* void */ AND h.state = b.state",
            "status"
        )
        .is_empty()
    );
    let insert = "INSERT INTO t (sku, kind) SELECT coalesce(a, b), 2 FROM c";
    assert_eq!(inserted(insert, "kind"), ["2"]);
    assert_eq!(
        inserted("INSERT INTO t (id, status) VALUES ($1, 4)", "status"),
        ["4"]
    );
    assert_eq!(
        named("12 /* revived */, k.name /* name */"),
        [(12, "revived")]
    );
}

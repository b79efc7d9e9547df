//! The parts of the statements: quoted names, assignments, conditions.

use crate::postgres::{
    assertion::Broken,
    row::{Kind, PgVersioned, Role},
};

/// Returns the rest of a `CASE` that is true if a version has grown, and else fails with `number` in its error.
pub(super) fn grown(version: &str, expected: &str, number: &str) -> String {
    let suppressed = Broken::Suppressed.fail(number);
    format!("WHEN {version} > {expected} THEN true ELSE {suppressed}")
}

/// The names of a row type, quoted.
pub(super) struct Names {
    pub(super) table: String,
    pub(super) id: String,
    pub(super) version: String,
    pub(super) columns: Vec<String>,
}

impl Names {
    pub(super) fn of<T: PgVersioned>() -> Self {
        let columns: Vec<String> = T::COLUMNS
            .iter()
            .map(|column| quoted(column.name))
            .collect();
        Self {
            table: quoted_table(T::TABLE),
            id: columns[0].clone(),
            version: columns[1].clone(),
            columns,
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes the name of a table, with its schema if it has one.
pub(in crate::postgres) fn quoted_table(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(quoted).collect();
    parts.join(".")
}

/// Returns the written columns, quoted.
pub(super) fn written<T: PgVersioned>() -> impl Iterator<Item = (String, Kind)> {
    T::COLUMNS.iter().filter_map(|column| match column.role {
        Role::Written(kind) => Some((quoted(column.name), kind)),
        _ => None,
    })
}

/// Returns `, column = value` for each written column and each column of `on_update`.
pub(super) fn sets<T: PgVersioned>(value: impl Fn(usize) -> String) -> String {
    let written = written::<T>().enumerate();
    let sets: String = written
        .map(|(at, (column, _))| format!(", {column} = {}", value(at)))
        .collect();
    sets + &on_update::<T>()
}

/// Returns the assignments of `on_update`, each with a line break: an expression may end with a comment.
pub(super) fn on_update<T: PgVersioned>() -> String {
    let mut sets = String::new();
    for column in T::COLUMNS {
        if let Role::OnUpdate(expression) = column.role {
            sets += &format!(", {} = ({expression}\n)", quoted(column.name));
        }
    }
    sets
}

/// Returns ` AND (condition)` if the row type has a condition.
pub(super) fn only<T: PgVersioned>() -> String {
    match T::ONLY {
        "true" => String::new(),
        condition => format!(" AND ({condition}\n)"),
    }
}

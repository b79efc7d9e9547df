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
    pub(super) ids: Vec<String>,
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
            ids: columns[..T::ID_COLUMNS].to_vec(),
            version: columns[T::ID_COLUMNS].clone(),
            columns,
        }
    }

    /// Returns the condition that `row` has the id whose columns are these values.
    pub(super) fn by_id(&self, row: &str, value: impl Fn(usize) -> String) -> String {
        self.same_id(|at| format!("{row}.{}", self.ids[at]), value)
    }

    /// Returns the condition that two ids are equal, of which `one` and `other` return the columns.
    pub(super) fn same_id(
        &self,
        one: impl Fn(usize) -> String,
        other: impl Fn(usize) -> String,
    ) -> String {
        let columns = 0..self.ids.len();
        let equal = columns.map(|at| format!("{} = {}", one(at), other(at)));
        equal.collect::<Vec<_>>().join(" AND ")
    }

    /// Returns the columns of the id, each by `one`, with commas.
    pub(super) fn each_id(&self, one: impl Fn(usize, &str) -> String) -> String {
        let ids = self.ids.iter().enumerate();
        let ids = ids.map(|(at, id)| one(at, id));
        ids.collect::<Vec<_>>().join(", ")
    }

    /// Returns the columns of the id as one value, which a `count(DISTINCT ..)` takes.
    pub(super) fn one_id(&self, one: impl Fn(usize) -> String) -> String {
        let ids = self.each_id(|at, _| one(at));
        match self.ids.len() {
            1 => ids,
            _ => format!("({ids})"),
        }
    }

    /// Returns the row's columns under names that no table has, with a comma before each: an expression of the
    /// row type then refers to its own columns.
    pub(super) fn renamed(&self, row: &str) -> String {
        let columns = self.columns.iter().enumerate();
        columns
            .map(|(at, column)| format!(", {row}.{column} AS \"optilock.r{at}\""))
            .collect()
    }

    /// Returns the columns of [`renamed`](Self::renamed) under their own names.
    pub(super) fn restored(&self, row: &str) -> String {
        let columns = self.columns.iter().enumerate();
        let columns = columns.map(|(at, column)| format!("{row}.\"optilock.r{at}\" AS {column}"));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// Returns the version of a [`renamed`](Self::renamed) row.
    pub(super) fn version_of(&self, row: &str) -> String {
        format!("{row}.\"optilock.r{}\"", self.ids.len())
    }
}

/// Returns the query of the rows of a call: their place in the call, the ids, which are the parameters from `$1`, and the
/// rest of the list.
///
/// The planner expects as many rows as the arrays have, or ten, if it does not know them. `generate_subscripts` would make
/// it a thousand, and a call with two rows would read a small table as a whole.
pub(super) fn given(count: usize, rest: &str) -> String {
    let ids = (0..count).map(|at| format!("pg_catalog.unnest(${}) AS \"optilock.id{at}\"", at + 1));
    let ids = ids.collect::<Vec<_>>().join(", ");
    format!(
        "SELECT pg_catalog.row_number() OVER () AS \"optilock.ord\", g.* FROM (SELECT {ids}{rest}) AS g"
    )
}

/// The values of the written columns, from one array per column, or three for an array column.
#[derive(Default)]
pub(super) struct Cells {
    /// The number of values.
    pub(super) count: usize,
    /// The values in the list of the unnested rows `u`.
    pub(super) unnested: String,
    /// The values in the list of a query of `u` and of the joins.
    pub(super) list: String,
    /// The joins that put array columns together.
    pub(super) joins: String,
}

/// Returns the values of the written columns, whose first parameter has this number.
pub(super) fn cells<T: PgVersioned>(first: usize) -> Cells {
    let mut parameters = first..;
    let mut next = || parameters.next().unwrap_or_default();
    let mut cells = Cells::default();
    for (at, (_, kind)) in written::<T>().enumerate() {
        cells.count += 1;
        match kind {
            Kind::Scalar => {
                cells.unnested +=
                    &format!(", pg_catalog.unnest(${}) AS \"optilock.c{at}\"", next());
                cells.list += &format!(", u.\"optilock.c{at}\"");
            }
            Kind::Array => {
                let (items, rows, nulls) = (next(), next(), next());
                cells.unnested += &format!(", pg_catalog.unnest(${nulls}) AS \"optilock.n{at}\"");
                cells.joins += &format!(
                    " LEFT JOIN (SELECT a.row AS \"optilock.row\", pg_catalog.array_agg(a.item ORDER BY a.place) AS \"optilock.items\"
                    FROM (SELECT pg_catalog.unnest(${items}) AS item, pg_catalog.unnest(${rows}) AS row,
                        pg_catalog.generate_subscripts(${rows}, 1) AS place) AS a
                    GROUP BY a.row) AS a{at} ON a{at}.\"optilock.row\" = u.\"optilock.ord\""
                );
                cells.list += &format!(
                    ", CASE WHEN u.\"optilock.n{at}\" THEN NULL
                        ELSE coalesce(a{at}.\"optilock.items\", '{{}}') END AS \"optilock.c{at}\""
                );
            }
        }
    }
    cells
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

/// Returns the assignments of `on_update` for an upsert, whose target is `t`. There a plain name could also mean a
/// column of `excluded`, so each expression has a query of its own, and the type of its column.
pub(super) fn on_update_of_target<T: PgVersioned>() -> String {
    let mut sets = String::new();
    for column in T::COLUMNS {
        if let Role::OnUpdate(expression) = column.role {
            let name = quoted(column.name);
            sets += &format!(
                ", {name} = (SELECT CASE WHEN true THEN ({expression}\n) ELSE t.{name} END FROM (SELECT t.*) AS t)"
            );
        }
    }
    sets
}

/// Returns [`only`] for an upsert, whose target is `t`.
pub(super) fn only_of_target<T: PgVersioned>() -> String {
    match T::ONLY {
        "true" => String::new(),
        condition => format!(" AND (SELECT ({condition}\n) FROM (SELECT t.*) AS t)"),
    }
}

//! The statements that write many rows which exist.
//!
//! A materialized CTE locks the rows in the order of their ids, all decisions are taken from the locked
//! rows, and the `UPDATE` or `DELETE` does what was decided.
//!
//! Parameters: an array for each column of the id, the expected versions, all or nothing; then the written columns.

use super::parts::{Cells, Names, cells, given, grown, only, sets};
use crate::postgres::{assertion::Broken, row::PgVersioned};

/// Returns the statement that writes many rows.
pub(super) fn update_all<T: PgVersioned>(names: &Names) -> String {
    let sets = sets::<T>(|at| format!("l.\"optilock.c{at}\""));
    let version = names.version_of("l");
    let write = Write {
        cells: cells::<T>(names.ids.len() + 3),
        lock: "FOR NO KEY UPDATE",
        head: format!(
            "UPDATE {} AS t SET {} = {version} + 1{sets} FROM",
            names.table, names.version
        ),
        is_written: format!(
            "CASE {} END",
            grown(
                &names.version_of("w"),
                "w.\"optilock.expected\"",
                "w.\"optilock.ord\""
            )
        ),
    };
    statement::<T>(names, &write)
}

/// Returns the statement that deletes many rows. A `DELETE` takes the stronger lock, so it is taken at once.
pub(super) fn delete_all<T: PgVersioned>(names: &Names) -> String {
    let write = Write {
        cells: Cells::default(),
        lock: "FOR UPDATE",
        head: format!("DELETE FROM {} AS t USING", names.table),
        is_written: "true".to_owned(),
    };
    statement::<T>(names, &write)
}

struct Write {
    cells: Cells,
    lock: &'static str,
    /// The write of `t`, up to the list of what it joins.
    head: String,
    /// An assertion over a row `w` that counts as written.
    is_written: String,
}

/// Returns the statement of a write. The names inside it are ones that no table has, so that an
/// expression of the row type refers to its own columns.
fn statement<T: PgVersioned>(names: &Names, write: &Write) -> String {
    let Write {
        cells:
            Cells {
                unnested,
                list,
                joins,
                ..
            },
        lock,
        head,
        is_written,
    } = write;
    let count = names.ids.len();
    let (expected, all) = (count + 1, count + 2);
    let locked_id = |at: usize| format!("\"optilock.r{at}\"");
    let version = names.version_of("l");
    format!(
        "WITH locked AS MATERIALIZED (
            SELECT u.\"optilock.ord\", u.\"optilock.expected\"{list}{of_t}
            FROM ({given}) AS u{joins}
            JOIN {table} AS t ON {is_requested}{only} ORDER BY {order} {lock} OF t),
        decision AS MATERIALIZED (
            SELECT CASE
                WHEN pg_catalog.count(*) > pg_catalog.count(DISTINCT \"optilock.ord\") THEN {several}
                WHEN pg_catalog.count(*) > pg_catalog.count(DISTINCT {one_id}) THEN {repeated}
                ELSE NOT ${all} OR pg_catalog.count(*) FILTER (WHERE {version} = l.\"optilock.expected\")
                    = pg_catalog.cardinality($1) END AS \"optilock.write\" FROM locked AS l),
        written AS (
            {head} locked AS l, decision AS d
            WHERE d.\"optilock.write\" AND {is_locked}
                AND {version} = l.\"optilock.expected\"
            RETURNING l.\"optilock.ord\", l.\"optilock.expected\"{of_t})
        SELECT {of_w}, w.\"optilock.ord\", 'w'::\"char\" AS \"optilock.outcome\" FROM written AS w
        WHERE {is_written}
        UNION ALL
        SELECT {of_l}, l.\"optilock.ord\", CASE WHEN {version} <> l.\"optilock.expected\" THEN 's'
            WHEN NOT d.\"optilock.write\" THEN 'k'
            WHEN ${all} THEN {suppressed}::text ELSE 'x' END::\"char\"
        FROM locked AS l, decision AS d
        WHERE NOT EXISTS (SELECT FROM written AS w WHERE w.\"optilock.ord\" = l.\"optilock.ord\")",
        table = names.table,
        given = given(
            count,
            &format!(", pg_catalog.unnest(${expected}) AS \"optilock.expected\"{unnested}")
        ),
        is_requested = names.by_id("t", |at| format!("u.\"optilock.id{at}\"")),
        is_locked = names.by_id("t", |at| format!("l.{}", locked_id(at))),
        order = names.each_id(|_, id| format!("t.{id}")),
        one_id = names.one_id(locked_id),
        several = Broken::Several.fail(
            "(SELECT \"optilock.ord\" FROM locked GROUP BY \"optilock.ord\" HAVING pg_catalog.count(*) > 1 LIMIT 1)"
        ),
        repeated = Broken::Repeated.fail(&format!(
            "(SELECT pg_catalog.max(\"optilock.ord\") FROM locked GROUP BY {} HAVING pg_catalog.count(*) > 1 LIMIT 1)",
            names.each_id(|at, _| locked_id(at))
        )),
        suppressed = Broken::Suppressed.fail("l.\"optilock.ord\""),
        only = only::<T>(),
        of_t = names.renamed("t"),
        of_w = names.restored("w"),
        of_l = names.restored("l"),
    )
}

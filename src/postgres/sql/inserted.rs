//! The statements that insert many rows.
//!
//! The rows are inserted in the order of their ids, one after the other, each with its lock: calls with
//! overlapping rows wait for each other in that order.
//!
//! Parameters: an array for each column of the id, the versions; for an upsert, its [`Pass`]; then the written
//! columns.

use super::parts::{Cells, Names, cells, given, on_update_of_target, only_of_target, written};
use crate::postgres::{
    assertion::Broken,
    row::{PgVersioned, Role},
};

/// What an upsert does with the rows that exist.
#[derive(Clone, Copy, Debug)]
pub(in crate::postgres) enum Pass {
    /// Locks them.
    Lock = 0,
    /// Writes them, after they were locked.
    Write = 1,
    /// Writes them, and fails if it can't write all of them.
    Strict = 2,
}

/// Returns the statement that inserts the rows whose ids are not taken.
pub(super) fn insert_all<T: PgVersioned>(names: &Names) -> String {
    if T::GENERATED_ID {
        return insert_generated::<T>(names);
    }
    // No index enforces an id `as unique`, so the statement looks for it. `ON CONFLICT` without an index would leave out
    // rows whose other keys are taken.
    let (only_new, on_conflict) = match T::UNIQUE_ID {
        true => {
            let same = names.by_id("e", |at| format!("r.\"optilock.id{at}\""));
            let taken = format!("SELECT FROM {} AS e WHERE {same}", names.table);
            (format!(" AND NOT EXISTS ({taken})"), String::new())
        }
        false => {
            let ids = names.ids.join(", ");
            (String::new(), format!("ON CONFLICT ({ids}) DO NOTHING"))
        }
    };
    let cells = cells::<T>(names.ids.len() + 2);
    let found = Found {
        join: String::new(),
        is_written: "true".to_owned(),
        nothing: "false".to_owned(),
    };
    statement::<T>(names, &cells, &only_new, &on_conflict, &found)
}

/// Returns the statement that inserts the rows whose ids are not taken, and writes the others.
///
/// A row is written only if it is still at the version `s` that the statement's snapshot has. So the version
/// before the write is known, and the version after it can be compared. A row that has moved on meanwhile is only
/// locked, and a strict pass fails then. It fails as well if a row was deleted meanwhile and is inserted: the
/// statement can't tell this from a version that was kept. Without a snapshot that may be outdated, in a
/// transaction that has locked the rows by its first pass, neither happens.
pub(super) fn upsert_all<T: PgVersioned>(names: &Names) -> String {
    let Names { table, version, .. } = names;
    let sets: String = written::<T>()
        .map(|(column, _)| format!(", {column} = excluded.{column}"))
        .collect();
    let pass = names.ids.len() + 2;
    let (locks, strict) = (
        format!("${pass} = {}", Pass::Lock as i32),
        format!("${pass} = {}", Pass::Strict as i32),
    );
    let update = format!(
        "ON CONFLICT ({ids}) DO UPDATE SET
                {version} = CASE WHEN t.{version} < {last} THEN t.{version} + 1 ELSE ({exhausted})::int END{sets}{on_update}
            WHERE NOT {locks} AND t.{version} = (SELECT s.{version} FROM {table} AS s WHERE {is_same}){only}",
        ids = names.ids.join(", "),
        last = T::VERSION.int.last(),
        exhausted = Broken::Exhausted.fail(&format!(
            "(SELECT r.\"optilock.ord\" FROM requested AS r WHERE {})",
            names.by_id("t", |at| format!("r.\"optilock.id{at}\""))
        )),
        on_update = on_update_of_target::<T>(),
        is_same = names.by_id("s", |at| format!("t.{}", names.ids[at])),
        only = only_of_target::<T>(),
    );
    let is_written = format!(
        "CASE WHEN {strict} AND (SELECT pg_catalog.count(*) FROM written) < pg_catalog.cardinality($1) THEN {missed}
            WHEN {locks} OR s.{version} IS NULL OR {after} > s.{version} THEN true ELSE {suppressed} END",
        missed = Broken::Missed.fail("r.\"optilock.ord\""),
        after = names.version_of("w"),
        suppressed = Broken::Suppressed.fail("r.\"optilock.ord\""),
    );
    let found = Found {
        join: format!(
            " LEFT JOIN {table} AS s ON {}",
            names.by_id("s", |at| format!("w.\"optilock.r{at}\""))
        ),
        is_written,
        nothing: format!(
            "CASE WHEN {strict} THEN {} ELSE false END",
            Broken::Missed.fail("(SELECT pg_catalog.max(r.\"optilock.ord\") FROM requested AS r)")
        ),
    };
    let cells = cells::<T>(names.ids.len() + 3);
    statement::<T>(names, &cells, "", &update, &found)
}

/// What the statement does with the rows that it wrote.
struct Found {
    /// What they are joined with.
    join: String,
    /// An assertion over a row `w` that counts as written.
    is_written: String,
    /// An assertion, or false, for a statement that wrote no row.
    nothing: String,
}

/// Returns the statement that inserts rows with given ids. The `requested` ids have the collations of their
/// columns, so that they are compared and sorted as the table compares and sorts them.
fn statement<T: PgVersioned>(
    names: &Names,
    cells: &Cells,
    only_new: &str,
    on_conflict: &str,
    found: &Found,
) -> String {
    let Found {
        join,
        is_written,
        nothing,
    } = found;
    let Cells {
        count,
        unnested,
        list,
        joins,
    } = cells;
    let requested_id = |at: usize| format!("r.\"optilock.id{at}\"");
    let values = (0..*count).map(|at| format!("r.\"optilock.c{at}\""));
    let ids = names.each_id(|at, _| requested_id(at));
    format!(
        "WITH requested AS MATERIALIZED (
            SELECT NULL::bigint AS \"optilock.ord\", {of_columns}, NULL::bigint AS \"optilock.version\"{nulls}
            FROM {table} AS t WHERE false
            UNION ALL
            SELECT u.\"optilock.ord\", {of_u}, u.\"optilock.version\"{list}
            FROM ({given}) AS u{joins}),
        decision AS MATERIALIZED (
            SELECT CASE WHEN pg_catalog.count(*) > pg_catalog.count(DISTINCT {one_id}) THEN {repeated}
                ELSE true END AS \"optilock.write\" FROM requested AS r),
        written AS (
            INSERT INTO {table} AS t ({columns})
            SELECT {values} FROM requested AS r, decision AS d WHERE d.\"optilock.write\"{only_new} ORDER BY {ids}
            {on_conflict}
            RETURNING 1 AS \"optilock.one\"{of_t})
        SELECT {of_w}, r.\"optilock.ord\", 'w'::\"char\" AS \"optilock.outcome\"
        FROM (VALUES (1)) AS o LEFT JOIN written AS w ON true LEFT JOIN requested AS r ON {is_written_id}{join}
        WHERE CASE WHEN w.\"optilock.one\" IS NULL THEN {nothing}
            WHEN r.\"optilock.ord\" IS NULL THEN {renamed} ELSE {is_written} END",
        table = names.table,
        of_columns = names.each_id(|at, id| format!("t.{id} AS \"optilock.id{at}\"")),
        nulls = (0..*count)
            .map(|at| format!(", NULL AS \"optilock.c{at}\""))
            .collect::<String>(),
        of_u = names.each_id(|at, _| format!("u.\"optilock.id{at}\"")),
        given = given(
            names.ids.len(),
            &format!(", pg_catalog.unnest(${}) AS \"optilock.version\"{unnested}", names.ids.len() + 1)
        ),
        one_id = names.one_id(requested_id),
        repeated = Broken::Repeated.fail(&format!(
            "(SELECT pg_catalog.max(r.\"optilock.ord\") FROM requested AS r GROUP BY {ids} HAVING pg_catalog.count(*) > 1 LIMIT 1)"
        )),
        columns = inserted::<T>(names).join(", "),
        values = [ids.clone(), "r.\"optilock.version\"".to_owned()]
            .into_iter()
            .chain(values)
            .collect::<Vec<_>>()
            .join(", "),
        of_t = names.renamed("t"),
        of_w = names.restored("w"),
        is_written_id = names.same_id(|at| format!("w.\"optilock.r{at}\""), requested_id),
        // A number from a row: see `assertion`.
        renamed = Broken::Renamed.fail(&format!("({} * 0)", names.version_of("w"))),
    )
}

/// Returns the statement that inserts rows whose ids the database generates. They are inserted and returned in
/// the order given, as none is left out.
fn insert_generated<T: PgVersioned>(names: &Names) -> String {
    let Cells {
        count,
        unnested,
        list,
        joins,
    } = cells::<T>(2);
    let values: String = (0..count)
        .map(|at| format!(", r.\"optilock.c{at}\""))
        .collect();
    format!(
        "WITH requested AS MATERIALIZED (
            SELECT u.\"optilock.ord\", u.\"optilock.version\"{list}
            FROM (SELECT pg_catalog.generate_subscripts($1, 1)::bigint AS \"optilock.ord\",
                pg_catalog.unnest($1) AS \"optilock.version\"{unnested}) AS u{joins}),
        written AS (
            INSERT INTO {table} AS t ({columns})
            SELECT r.\"optilock.version\"{values} FROM requested AS r ORDER BY r.\"optilock.ord\"
            RETURNING 1 AS \"optilock.one\"{of_t})
        SELECT {of_w}, pg_catalog.row_number() OVER () AS \"optilock.ord\", 'w'::\"char\" AS \"optilock.outcome\"
        FROM written AS w
        WHERE CASE WHEN (SELECT pg_catalog.count(*) FROM written) < pg_catalog.cardinality($1) THEN {missed}
            ELSE true END",
        table = names.table,
        columns = inserted::<T>(names).join(", "),
        of_t = names.renamed("t"),
        of_w = names.restored("w"),
        missed = Broken::Missed.fail(&format!("({} * 0)", names.version_of("w"))),
    )
}

/// Returns the columns that an insert sets.
pub(super) fn inserted<T: PgVersioned>(names: &Names) -> Vec<String> {
    let columns = names.columns.iter().zip(T::COLUMNS);
    let columns = columns.filter(|(_, column)| match column.role {
        Role::Id => !T::GENERATED_ID,
        Role::Version | Role::Written(_) => true,
        Role::OnUpdate(_) | Role::ReadOnly => false,
    });
    columns.map(|(name, _)| name.clone()).collect()
}

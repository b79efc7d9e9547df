//! The statements of a row type, built once. Names are quoted only here.
//!
//! A write of one row has its guard in its own `WHERE`, on the row that is written: PostgreSQL checks it
//! again after it has waited for another writer.
//!
//! A write asserts what it wrote: one row for an id, at a version that has grown. A row that a trigger left
//! unchanged counts as written as well.

mod parts;
mod update_all;

use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{assertion::Broken, row::PgVersioned};
pub(super) use parts::quoted_table;
use parts::{Names, grown, on_update, only, sets, written};
use update_all::update_all;

/// The statements of a row type. Parameters: `$1` id, `$2` expected version, then the written columns.
#[derive(Debug)]
pub(super) struct Statements {
    /// `$1` id.
    pub(super) find: SqlStr,
    /// `$1` id.
    pub(super) lock: SqlStr,
    /// `$1` id. Returns the version.
    pub(super) share: SqlStr,
    /// `$1` id, unless the database generates it; the version; the written columns.
    pub(super) insert: SqlStr,
    pub(super) update: SqlStr,
    /// `$1` id, `$2` expected. Returns the version.
    pub(super) touch: SqlStr,
    /// `$1` id, `$2` expected. Returns the version.
    pub(super) delete: SqlStr,
    /// `$1` ids, `$2` expected versions, `$3` all or nothing; then the written columns, an array for
    /// each, or three arrays for an array column.
    pub(super) update_all: SqlStr,
    /// `$1` ids.
    pub(super) find_all: SqlStr,
    /// Returns one row, if there is any.
    pub(super) sample: SqlStr,
}

impl Statements {
    pub(super) fn of<T: PgVersioned>() -> Self {
        let names = Names::of::<T>();
        let Names {
            table,
            id,
            version,
            columns,
        } = &names;
        let list = columns.join(", ");
        let written: Vec<String> = written::<T>().map(|(column, _)| column).collect();
        let only = only::<T>();
        let find = format!("SELECT {list} FROM {table} AS t WHERE t.{id} = $1{only}");
        let guard = format!("t.{id} = $1 AND t.{version} = $2{only}");
        let sets = sets::<T>(|at| format!("${}", at + 3));
        Self {
            lock: ours(format!("{find} FOR NO KEY UPDATE")),
            share: ours(format!(
                "SELECT {version} FROM {table} AS t WHERE t.{id} = $1{only} FOR SHARE"
            )),
            insert: {
                let names = [id, version].into_iter().chain(&written);
                let names: Vec<&str> = names
                    .skip(usize::from(T::GENERATED_ID))
                    .map(String::as_str)
                    .collect();
                let values: Vec<String> = (1..=names.len()).map(|at| format!("${at}")).collect();
                let (names, values) = (names.join(", "), values.join(", "));
                ours(format!(
                    "INSERT INTO {table} AS t ({names}) VALUES ({values}) RETURNING {list}"
                ))
            },
            update: written_once(
                &format!(
                    "UPDATE {table} AS t SET {version} = t.{version} + 1{sets} WHERE {guard} RETURNING {list}"
                ),
                &list,
                version,
                &grown(version, "$2", version),
            ),
            touch: written_once(
                &format!(
                    "UPDATE {table} AS t SET {version} = t.{version} + 1{on_update} WHERE {guard} RETURNING t.{version}",
                    on_update = on_update::<T>(),
                ),
                version,
                version,
                &grown(version, "$2", version),
            ),
            delete: written_once(
                &format!("DELETE FROM {table} AS t WHERE {guard} RETURNING t.{version}"),
                version,
                version,
                "ELSE true",
            ),
            update_all: ours(update_all::<T>(&names)),
            find_all: ours(format!(
                "SELECT {list}, u.\"optilock.ord\"
                FROM (SELECT pg_catalog.generate_subscripts($1, 1)::bigint AS \"optilock.ord\",
                    pg_catalog.unnest($1) AS \"optilock.id\") AS u
                JOIN {table} AS t ON t.{id} = u.\"optilock.id\"{only}"
            )),
            sample: ours(format!(
                "SELECT {list} FROM {table} AS t WHERE true{only} LIMIT 1"
            )),
            find: ours(find),
        }
    }
}

/// Returns the plan, in lines, by which the database finds a row by an id of this type if it may not read
/// the whole table. The planner does not know the value of the id, as in a generic plan.
///
/// Several statements in one message. Outside of a transaction they are one transaction, with which the
/// settings end; inside a transaction the settings are restored. So a dropped future leaves no setting.
pub(super) fn explain<T: PgVersioned>(id_type: &str, seqscan: &str, bitmapscan: &str) -> SqlStr {
    let Names { table, id, .. } = Names::of::<T>();
    ours(format!(
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = on;
        EXPLAIN (COSTS OFF) SELECT FROM {table} AS t WHERE t.{id} = (SELECT NULL::{id_type});
        SET LOCAL enable_seqscan = {seqscan}; SET LOCAL enable_bitmapscan = {bitmapscan}"
    ))
}

/// Marks the crate's own text around quoted names as safe.
pub(super) fn ours(sql: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(sql)).into_sql_str()
}

/// Returns a write by `$1` id that returns `list`, which includes the version, and fails if it wrote several
/// rows. `or` is the rest of a `CASE` that is true. A test for a second row is less work than a count.
fn written_once(write: &str, list: &str, version: &str, or: &str) -> SqlStr {
    let several = Broken::Several.fail(version);
    ours(format!(
        "WITH written AS (
            {write})
        SELECT {list} FROM written WHERE CASE
            WHEN EXISTS (SELECT FROM written OFFSET 1) THEN {several}
            {or} END"
    ))
}

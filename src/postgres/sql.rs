//! The statements of a row type, built once. Names are quoted only here.
//!
//! A write of one row has its guard in its own `WHERE`, on the row that is written: PostgreSQL checks it
//! again after it has waited for another writer.
//!
//! A write asserts what it wrote: one row for an id, at a version that has grown. A row that a trigger left
//! unchanged counts as written as well.

mod inserted;
mod locked;
mod parts;

use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{assertion::Broken, row::PgVersioned};
pub(super) use inserted::Pass;
use inserted::{insert_all, inserted, upsert_all};
use locked::{delete_all, update_all};
pub(super) use parts::quoted_table;
use parts::{Names, given, grown, on_update, only, sets};

/// The statements of a row type. Parameters: a value for each column of the id, the expected version, then
/// the written columns.
#[derive(Debug)]
pub(super) struct Statements {
    /// The id only.
    pub(super) find: SqlStr,
    /// The id only.
    pub(super) lock: SqlStr,
    /// The id only. Returns the version.
    pub(super) share: SqlStr,
    /// The id, unless the database generates it; the version; the written columns.
    pub(super) insert: SqlStr,
    pub(super) update: SqlStr,
    /// The id and the expected version. Returns the version.
    pub(super) touch: SqlStr,
    /// The id and the expected version. Returns the version.
    pub(super) delete: SqlStr,
    /// For many rows: see `locked`.
    pub(super) update_all: SqlStr,
    pub(super) delete_all: SqlStr,
    /// For many rows: see `inserted`.
    pub(super) insert_all: SqlStr,
    pub(super) upsert_all: SqlStr,
    /// An array for each column of the id.
    pub(super) find_all: SqlStr,
    /// An array for each column of the id. Returns which rows exist, and whether they meet `only`.
    pub(super) existing: SqlStr,
    /// Returns one row, if there is any.
    pub(super) sample: SqlStr,
}

impl Statements {
    pub(super) fn of<T: PgVersioned>() -> Self {
        let names = Names::of::<T>();
        let Names {
            table,
            ids,
            version,
            columns,
        } = &names;
        let list = columns.join(", ");
        let only = only::<T>();
        let by_id = names.by_id("t", |at| format!("${}", at + 1));
        let expected = format!("${}", ids.len() + 1);
        let find = format!("SELECT {list} FROM {table} AS t WHERE {by_id}{only}");
        let guard = format!("{by_id} AND t.{version} = {expected}{only}");
        let sets = sets::<T>(|at| format!("${}", at + ids.len() + 2));
        let given = given(ids.len(), "");
        let is_given = names.by_id("t", |at| format!("u.\"optilock.id{at}\""));
        Self {
            lock: ours(format!("{find} FOR NO KEY UPDATE")),
            share: ours(format!(
                "SELECT {version} FROM {table} AS t WHERE {by_id}{only} FOR SHARE"
            )),
            insert: {
                let names = inserted::<T>(&names);
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
                &grown(version, &expected, version),
            ),
            touch: written_once(
                &format!(
                    "UPDATE {table} AS t SET {version} = t.{version} + 1{on_update} WHERE {guard} RETURNING t.{version}",
                    on_update = on_update::<T>(),
                ),
                version,
                version,
                &grown(version, &expected, version),
            ),
            delete: written_once(
                &format!("DELETE FROM {table} AS t WHERE {guard} RETURNING t.{version}"),
                version,
                version,
                "ELSE true",
            ),
            update_all: ours(update_all::<T>(&names)),
            delete_all: ours(delete_all::<T>(&names)),
            insert_all: ours(insert_all::<T>(&names)),
            upsert_all: ours(upsert_all::<T>(&names)),
            find_all: ours(format!(
                "SELECT {list}, u.\"optilock.ord\" FROM ({given}) AS u JOIN {table} AS t ON {is_given}{only}"
            )),
            existing: ours(format!(
                "SELECT u.\"optilock.ord\", ({condition}\n) IS TRUE AS \"optilock.found\"
                FROM ({given}) AS u JOIN {table} AS t ON {is_given}",
                condition = T::ONLY,
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
pub(super) fn explain<T: PgVersioned>(
    id_types: &[String],
    seqscan: &str,
    bitmapscan: &str,
) -> SqlStr {
    let names = Names::of::<T>();
    let by_id = names.by_id("t", |at| format!("(SELECT NULL::{})", id_types[at]));
    let table = &names.table;
    ours(format!(
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = on;
        EXPLAIN (COSTS OFF) SELECT FROM {table} AS t WHERE {by_id};
        SET LOCAL enable_seqscan = {seqscan}; SET LOCAL enable_bitmapscan = {bitmapscan}"
    ))
}

/// Marks the crate's own text around quoted names as safe.
pub(super) fn ours(sql: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(sql)).into_sql_str()
}

/// Returns a write by id that returns `list`, which includes the version, and fails if it wrote several
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

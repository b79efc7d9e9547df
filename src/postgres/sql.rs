//! The statements of a row type, built once. Names are quoted here, and nowhere else.
//!
//! Every write of one row has its guard in its own `WHERE`, on the row that is written: PostgreSQL
//! checks it again after it waited for another writer. Many rows are locked in the order of their
//! ids by a materialized CTE, all decisions are taken from what that one found, and the `UPDATE`
//! sets what was decided.
//!
//! Every write asserts what it wrote: one row for an id, at a version that has grown. A row that a
//! trigger left as it was counts as written, too.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::{
    assertion::Broken,
    row::{Kind, PgVersioned, Role},
};

/// Parameters of all: `$1` id, `$2` expected version, then the written columns.
#[derive(Debug)]
pub(super) struct Statements {
    /// `$1` id.
    pub(super) find: SqlStr,
    /// `$1` id.
    pub(super) lock: SqlStr,
    /// `$1` id. Answers with the version.
    pub(super) share: SqlStr,
    /// `$1` id, unless the database makes it; the version; the written columns.
    pub(super) insert: SqlStr,
    pub(super) update: SqlStr,
    /// `$1` id, `$2` expected. Answers with the version.
    pub(super) touch: SqlStr,
    /// `$1` id, `$2` expected. Answers with the version.
    pub(super) delete: SqlStr,
    /// `$1` ids, `$2` expected versions, `$3` all or nothing; then the written columns, an array for
    /// each, or three for a column that is an array itself.
    pub(super) update_all: SqlStr,
    /// `$1` ids.
    pub(super) find_all: SqlStr,
    /// A row, if there is any.
    pub(super) sample: SqlStr,
}

impl Statements {
    pub(super) fn of<T: PgVersioned>() -> Self {
        let Names {
            table,
            id,
            version,
            columns,
        } = &Names::of::<T>();
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
            update_all: ours(update_all::<T>()),
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

/// How the database would find a row by an id of this type if it may not read the whole table, however
/// small: a line each. The id is a value that the planner can't know, as in a generic plan.
///
/// Several statements for one message. Outside of a transaction they are one, with which the settings
/// end; within one they are put back. So nothing is left behind when the caller gives up waiting.
pub(super) fn explain<T: PgVersioned>(id_type: &str, seqscan: &str, bitmapscan: &str) -> SqlStr {
    let Names { table, id, .. } = Names::of::<T>();
    ours(format!(
        "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = on;
        EXPLAIN (COSTS OFF) SELECT FROM {table} AS t WHERE t.{id} = (SELECT NULL::{id_type});
        SET LOCAL enable_seqscan = {seqscan}; SET LOCAL enable_bitmapscan = {bitmapscan}"
    ))
}

/// Our own text around quoted names.
fn ours(sql: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(sql)).into_sql_str()
}

/// A write by `$1` id that returns `list`, the version among it, and fails where it wrote several rows.
/// `or` is the rest of a `CASE` that is true. To ask for a second row is less work than to count.
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

/// The rest of a `CASE` that is true where a version has grown, and else fails and quotes `number`.
fn grown(version: &str, expected: &str, number: &str) -> String {
    let suppressed = Broken::Suppressed.fail(number);
    format!("WHEN {version} > {expected} THEN true ELSE {suppressed}")
}

/// The names of a row type, quoted.
struct Names {
    table: String,
    id: String,
    version: String,
    columns: Vec<String>,
}

impl Names {
    fn of<T: PgVersioned>() -> Self {
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

/// With its schema, if it has one.
pub(super) fn quoted_table(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(quoted).collect();
    parts.join(".")
}

/// The written columns, quoted.
fn written<T: PgVersioned>() -> impl Iterator<Item = (String, Kind)> {
    T::COLUMNS.iter().filter_map(|column| match column.role {
        Role::Written(kind) => Some((quoted(column.name), kind)),
        _ => None,
    })
}

/// `, column = value` for each written column and each that every write sets.
fn sets<T: PgVersioned>(value: impl Fn(usize) -> String) -> String {
    let written = written::<T>().enumerate();
    let sets: String = written
        .map(|(at, (column, _))| format!(", {column} = {}", value(at)))
        .collect();
    sets + &on_update::<T>()
}

/// On lines of their own: an expression may end with a comment.
fn on_update<T: PgVersioned>() -> String {
    let mut sets = String::new();
    for column in T::COLUMNS {
        if let Role::OnUpdate(expression) = column.role {
            sets += &format!(", {} = ({expression}\n)", quoted(column.name));
        }
    }
    sets
}

/// ` AND (condition)`, where rows are to be left out.
fn only<T: PgVersioned>() -> String {
    match T::ONLY {
        "true" => String::new(),
        condition => format!(" AND ({condition}\n)"),
    }
}

/// The names within are ones that no table has, so that an expression of the row type's means its
/// own columns.
fn update_all<T: PgVersioned>() -> String {
    let Names {
        table,
        id,
        version,
        columns,
    } = &Names::of::<T>();
    let mut parameter = 3;
    let mut next = || {
        parameter += 1;
        parameter
    };
    let (mut unnested, mut cells, mut joins) = (String::new(), String::new(), String::new());
    for (at, (_, kind)) in written::<T>().enumerate() {
        match kind {
            Kind::Scalar => {
                unnested += &format!(", pg_catalog.unnest(${}) AS \"optilock.c{at}\"", next());
                cells += &format!(", u.\"optilock.c{at}\"");
            }
            Kind::Array => {
                let (items, rows, nulls) = (next(), next(), next());
                unnested += &format!(", pg_catalog.unnest(${nulls}) AS \"optilock.n{at}\"");
                joins += &format!(
                    " LEFT JOIN (SELECT a.row AS \"optilock.row\", pg_catalog.array_agg(a.item ORDER BY a.place) AS \"optilock.items\"
                    FROM (SELECT pg_catalog.unnest(${items}) AS item, pg_catalog.unnest(${rows}) AS row,
                        pg_catalog.generate_subscripts(${rows}, 1) AS place) AS a
                    GROUP BY a.row) AS a{at} ON a{at}.\"optilock.row\" = u.\"optilock.ord\""
                );
                cells += &format!(
                    ", CASE WHEN u.\"optilock.n{at}\" THEN NULL
                        ELSE coalesce(a{at}.\"optilock.items\", '{{}}') END AS \"optilock.c{at}\""
                );
            }
        }
    }
    let returned = |from: &str| -> String {
        let one = |(at, column)| format!(", {from}.{column} AS \"optilock.r{at}\"");
        columns.iter().enumerate().map(one).collect()
    };
    let out = |from: &str| -> String {
        let one = |(at, column)| format!("{from}.\"optilock.r{at}\" AS {column}");
        let all: Vec<String> = columns.iter().enumerate().map(one).collect();
        all.join(", ")
    };
    let sets = sets::<T>(|at| format!("l.\"optilock.c{at}\""));
    format!(
        "WITH locked AS MATERIALIZED (
            SELECT u.\"optilock.ord\", u.\"optilock.expected\"{cells}{of_t}
            FROM (SELECT pg_catalog.generate_subscripts($1, 1)::bigint AS \"optilock.ord\", pg_catalog.unnest($1) AS \"optilock.id\",
                pg_catalog.unnest($2) AS \"optilock.expected\"{unnested}) AS u{joins}
            JOIN {table} AS t ON t.{id} = u.\"optilock.id\"{only} ORDER BY t.{id} FOR NO KEY UPDATE OF t),
        go AS MATERIALIZED (
            SELECT CASE
                WHEN pg_catalog.count(*) > pg_catalog.count(DISTINCT \"optilock.ord\") THEN {several}
                WHEN pg_catalog.count(*) > pg_catalog.count(DISTINCT \"optilock.r0\") THEN {repeated}
                ELSE NOT $3 OR pg_catalog.count(*) FILTER (WHERE \"optilock.r1\" = \"optilock.expected\")
                    = pg_catalog.cardinality($1) END AS \"optilock.go\" FROM locked),
        written AS (
            UPDATE {table} AS t SET {version} = l.\"optilock.r1\" + 1{sets} FROM locked AS l, go
            WHERE go.\"optilock.go\" AND t.{id} = l.\"optilock.r0\"
                AND l.\"optilock.r1\" = l.\"optilock.expected\"
            RETURNING l.\"optilock.ord\", l.\"optilock.expected\"{of_t})
        SELECT {of_w}, w.\"optilock.ord\", 'w'::\"char\" AS \"optilock.verdict\" FROM written AS w
        WHERE CASE {grown} END
        UNION ALL
        SELECT {of_l}, l.\"optilock.ord\", CASE WHEN l.\"optilock.r1\" <> l.\"optilock.expected\" THEN 's'
            WHEN NOT go.\"optilock.go\" THEN 'h'
            WHEN $3 THEN {suppressed}::text ELSE 'x' END::\"char\"
        FROM locked AS l, go
        WHERE NOT EXISTS (SELECT FROM written AS w WHERE w.\"optilock.ord\" = l.\"optilock.ord\")",
        several = Broken::Several.fail(
            "(SELECT \"optilock.ord\" FROM locked GROUP BY \"optilock.ord\" HAVING pg_catalog.count(*) > 1 LIMIT 1)"
        ),
        repeated = Broken::Repeated.fail(
            "(SELECT pg_catalog.max(\"optilock.ord\") FROM locked GROUP BY \"optilock.r0\" HAVING pg_catalog.count(*) > 1 LIMIT 1)"
        ),
        grown = grown(
            "w.\"optilock.r1\"",
            "w.\"optilock.expected\"",
            "w.\"optilock.ord\""
        ),
        suppressed = Broken::Suppressed.fail("l.\"optilock.ord\""),
        only = only::<T>(),
        of_t = returned("t"),
        of_w = out("w"),
        of_l = out("l"),
    )
}

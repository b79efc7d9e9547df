//! The statement that writes many rows.
//!
//! A materialized CTE locks the rows in the order of their ids, all decisions are taken from the locked
//! rows, and the `UPDATE` sets what was decided.

use super::parts::{Names, grown, only, sets, written};
use crate::postgres::{
    assertion::Broken,
    row::{Kind, PgVersioned},
};

/// The values of the written columns, from one array per column, or three for an array column.
#[derive(Default)]
struct Cells {
    /// The values in the list of the unnested rows.
    unnested: String,
    /// The values in the list of the locked rows.
    list: String,
    /// The joins that put array columns together.
    joins: String,
}

fn cells<T: PgVersioned>() -> Cells {
    let mut parameter = 3;
    let mut next = || {
        parameter += 1;
        parameter
    };
    let mut cells = Cells::default();
    for (at, (_, kind)) in written::<T>().enumerate() {
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

/// Returns the statement that writes many rows. The names inside it are ones that no table has, so that an
/// expression of the row type refers to its own columns.
pub(super) fn update_all<T: PgVersioned>(names: &Names) -> String {
    let Names {
        table,
        id,
        version,
        columns,
    } = names;
    let Cells {
        unnested,
        list,
        joins,
    } = cells::<T>();
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
            SELECT u.\"optilock.ord\", u.\"optilock.expected\"{list}{of_t}
            FROM (SELECT pg_catalog.generate_subscripts($1, 1)::bigint AS \"optilock.ord\", pg_catalog.unnest($1) AS \"optilock.id\",
                pg_catalog.unnest($2) AS \"optilock.expected\"{unnested}) AS u{joins}
            JOIN {table} AS t ON t.{id} = u.\"optilock.id\"{only} ORDER BY t.{id} FOR NO KEY UPDATE OF t),
        decision AS MATERIALIZED (
            SELECT CASE
                WHEN pg_catalog.count(*) > pg_catalog.count(DISTINCT \"optilock.ord\") THEN {several}
                WHEN pg_catalog.count(*) > pg_catalog.count(DISTINCT \"optilock.r0\") THEN {repeated}
                ELSE NOT $3 OR pg_catalog.count(*) FILTER (WHERE \"optilock.r1\" = \"optilock.expected\")
                    = pg_catalog.cardinality($1) END AS \"optilock.write\" FROM locked),
        written AS (
            UPDATE {table} AS t SET {version} = l.\"optilock.r1\" + 1{sets} FROM locked AS l, decision AS d
            WHERE d.\"optilock.write\" AND t.{id} = l.\"optilock.r0\"
                AND l.\"optilock.r1\" = l.\"optilock.expected\"
            RETURNING l.\"optilock.ord\", l.\"optilock.expected\"{of_t})
        SELECT {of_w}, w.\"optilock.ord\", 'w'::\"char\" AS \"optilock.outcome\" FROM written AS w
        WHERE CASE {grown} END
        UNION ALL
        SELECT {of_l}, l.\"optilock.ord\", CASE WHEN l.\"optilock.r1\" <> l.\"optilock.expected\" THEN 's'
            WHEN NOT d.\"optilock.write\" THEN 'k'
            WHEN $3 THEN {suppressed}::text ELSE 'x' END::\"char\"
        FROM locked AS l, decision AS d
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

//! Row types whose tables and columns have names with SQL in them.

use std::cell::Cell;

use optilock::{
    Version,
    postgres::{Bulk, PgRepository},
    sqlx::{self, AssertSqlSafe, PgPool},
    versioned_row,
};
use tokio::runtime::Runtime;

use super::{is_kept, quoted, texts};

/// Defines a row type for each table, and `run_all`, which runs all of them.
macro_rules! tables {
    ($($module:ident: $table:literal, $id:literal, $version:literal, $text:literal;)*) => {
        $(mod $module {
            use super::*;

            #[derive(Clone, Debug, sqlx::FromRow)]
            struct Row {
                #[sqlx(rename = $id)]
                id: i64,
                #[sqlx(rename = $version)]
                version: Version,
                #[sqlx(rename = $text)]
                text: String,
            }

            versioned_row! { Row in $table {
                entity: $table,
                id: id = $id: i64,
                version: version = $version,
                columns: [text = $text],
            } }

            pub fn run(runtime: &Runtime, pool: &PgPool, cases: u32) {
                runtime.block_on(create(pool, $table, [$id, $version, $text]));
                let rows = PgRepository::<Row>::new(pool.clone());
                runtime.block_on(rows.verify()).unwrap();
                let next = Cell::new(0);
                crate::fuzz::run($table, cases, texts(), |texts| {
                    let first = next.replace(next.get() + 3);
                    runtime.block_on(async {
                        let mut written = Vec::new();
                        for (id, text) in (first..).zip(&texts) {
                            let row = Row { id, version: Version::FIRST, text: text.clone() };
                            written.push(rows.insert(&row).await.unwrap());
                        }
                        for (row, text) in written.iter().zip(&texts) {
                            is_kept(&row.text, text)?;
                            is_kept(&rows.get(&row.id).await.unwrap().text, text)?;
                        }
                        for (row, text) in written.iter_mut().zip(texts.iter().rev()) {
                            row.text.clone_from(text);
                        }
                        let outcomes = rows.update_all(&written, Bulk::AllOrNothing).await.unwrap();
                        for (outcome, text) in outcomes.into_iter().zip(texts.iter().rev()) {
                            is_kept(&outcome.into_row().unwrap().text, text)?;
                        }
                        let mut row = rows.find(&first).await.unwrap().unwrap();
                        row.text.clone_from(&texts[0]);
                        let row = rows.update(&row).await.unwrap();
                        is_kept(&row.text, &texts[0])?;
                        rows.touch(&row.id, row.version).await.unwrap();
                        let last = rows.get(&(first + 2)).await.unwrap();
                        rows.delete(&last.id, last.version).await.unwrap();
                        Ok(())
                    })
                });
                // Of every three rows one was deleted, and no other.
                let count = format!("SELECT count(*) FROM {}", quoted_table($table));
                let count = sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(pool);
                let count: i64 = runtime.block_on(count).unwrap();
                assert_eq!(count, i64::from(cases) * 2);
            }
        })*

        pub fn run_all(runtime: &Runtime, pool: &PgPool, cases: u32) {
            $($module::run(runtime, pool, cases);)*
        }
    };
}

fn quoted_table(table: &str) -> String {
    let (schema, table) = table.split_once('.').unwrap();
    format!("{}.{}", quoted(schema), quoted(table))
}

async fn create(pool: &PgPool, table: &str, columns: [&str; 3]) {
    let [id, version, text] = columns.map(quoted);
    let (schema, _) = table.split_once('.').unwrap();
    let create = format!(
        "CREATE SCHEMA IF NOT EXISTS {};
         CREATE TABLE {} ({id} bigint PRIMARY KEY, {version} bigint NOT NULL, {text} text NOT NULL)",
        quoted(schema),
        quoted_table(table),
    );
    sqlx::raw_sql(AssertSqlSafe(create))
        .execute(pool)
        .await
        .unwrap();
}

tables! {
    a_drop: "s; DROP SCHEMA s --.t\"; DROP TABLE t; --", "id'; --", "v\"\"", "t$1";
    keywords: "select.table", "where", "order", "from";
    quotes: "'.\"", "'", "\"", "''\"\"";
    parameters: "$1.$2", "$3", "$4", "$$";
    the_crates_own_names: "optilock2.optilock", "optilock.r0", "optilock.r1", "optilock.expected";
    comments: "/*.*/", "--", "/* */", "//";
    formats: "{}.%s", "{0}", "%", "{{";
    spaces: " .\t", "\n", "  ", "\u{a0}";
    backslashes: "\\.\\\\", "\\'", "\\\"", "E'\\x'";
    unicode: "ñandú.🏺", "e\u{301}", "\u{202e}x", "İ";
    case: "Schema.TABLE", "Id", "iD", "ID";
}

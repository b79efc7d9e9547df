//! Functions and operators of a hostile role.
//!
//! A statement without qualified names would call them: they fit the arguments of the statements of the crate
//! better than those of `pg_catalog`.

use std::{collections::BTreeSet, fs, path::Path};

use optilock::sqlx::{self, AssertSqlSafe, PgPool};

use crate::{
    support::bank::TABLE,
    support::db::{Db, pool_options, with_role},
};

/// Types of the columns, parameters and constants of the crate, and of the results of its functions.
const TYPES: [&str; 18] = [
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "double precision",
    "text",
    "varchar",
    "name",
    "uuid",
    "timestamptz",
    "interval",
    "bytea",
    "oid",
    "xid8",
    "text[]",
    "bigint[]",
    "uuid[]",
];

const OPERATORS: [&str; 15] = [
    "=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "||", "~", "~~", "@>",
];

/// Collects every name before a parenthesis in the Rust and SQL files of a folder.
fn called_names(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            called_names(&path, names);
        } else if path
            .extension()
            .is_some_and(|ending| ending == "rs" || ending == "sql")
        {
            let text = fs::read_to_string(&path).unwrap();
            for (at, _) in text.match_indices('(') {
                let name: Vec<char> = text[..at]
                    .chars()
                    .rev()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '_' || c.is_ascii_digit())
                    .collect();
                if !name.is_empty() {
                    names.insert(name.into_iter().rev().collect());
                }
            }
        }
    }
}

/// Creates the hostile code as the hostile role and returns how many functions it made.
async fn plant(pool: &PgPool, names: &[String]) -> i64 {
    let quoted = |list: &[&str]| {
        let list: Vec<String> = list.iter().map(|text| format!("'{text}'")).collect();
        format!("ARRAY[{}]", list.join(", "))
    };
    let (types, operators) = (quoted(&TYPES), quoted(&OPERATORS));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let names = quoted(&names);
    // The functions are volatile, so that the planner calls none.
    let plant = format!(
        "DO $do$
        DECLARE
            types text[] := {types};
            a text; b text; it text;
            body text := 'BEGIN RAISE EXCEPTION ''hostile code was called''; END';
        BEGIN
            FOREACH a IN ARRAY types LOOP
                EXECUTE format('CREATE FUNCTION public.hostile(%s) RETURNS boolean LANGUAGE plpgsql AS %L', a, body);
                EXECUTE format('CREATE OPERATOR public.- (RIGHTARG = %s, FUNCTION = public.hostile)', a);
                FOREACH b IN ARRAY types LOOP
                    EXECUTE format('CREATE FUNCTION public.hostile(%s, %s) RETURNS boolean LANGUAGE plpgsql AS %L', a, b, body);
                    FOREACH it IN ARRAY {operators} LOOP
                        EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.hostile)', it, a, b);
                    END LOOP;
                END LOOP;
            END LOOP;
            FOREACH it IN ARRAY {names}::text[] LOOP
                FOREACH a IN ARRAY types || ARRAY['anyelement', 'VARIADIC anyarray', 'text, text, boolean',
                        'anyarray, integer', 'anyelement, anyelement', 'anyelement, anyelement, anyelement'] LOOP
                    BEGIN
                        EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS bigint LANGUAGE plpgsql AS %L', it, a, body);
                    EXCEPTION WHEN duplicate_function THEN NULL;
                    END;
                END LOOP;
                FOREACH a IN ARRAY types LOOP
                    FOREACH b IN ARRAY types LOOP
                        EXECUTE format('CREATE FUNCTION public.%I(%s, %s) RETURNS bigint LANGUAGE plpgsql AS %L', it, a, b, body);
                    END LOOP;
                END LOOP;
            END LOOP;
        END $do$"
    );
    sqlx::raw_sql(AssertSqlSafe(plant))
        .execute(pool)
        .await
        .unwrap();
    let count = "SELECT count(*) FROM pg_catalog.pg_proc WHERE pronamespace = 'public'::pg_catalog.regnamespace";
    sqlx::query_scalar(count).fetch_one(pool).await.unwrap()
}

/// Returns the functions of `pg_catalog` that the source of the crate names.
async fn catalog_functions(pool: &PgPool) -> Vec<String> {
    let mut names = BTreeSet::new();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for folder in [
        "src/postgres",
        "src/inventory/postgres",
        "src/inventory/batch",
        "migrations",
    ] {
        called_names(&root.join(folder), &mut names);
    }
    let names: Vec<String> = names.into_iter().collect();
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT proname::text FROM pg_catalog.pg_proc
         WHERE pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND proname::text = ANY ($1) ORDER BY 1",
    )
    .bind(&names)
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(
        names.len() > 15 && names.contains(&"unnest".to_owned()),
        "{names:?}"
    );
    names
}

/// Creates the hostile code by a pool whose search path is empty.
pub async fn plant_all(pool: &PgPool) {
    let names = catalog_functions(pool).await;
    plant(pool, &names).await;
}

/// Runs `work` in an empty database with two roles: the application, whose pool has the default search path of
/// PostgreSQL, and the hostile role, which has created its code.
pub async fn among_hostile_code<T>(work: impl AsyncFnOnce(&Db, PgPool) -> T) -> T {
    let db = Db::empty().await;
    let names = catalog_functions(&db.pool).await;
    with_role(&db.pool, async |hostile| {
        with_role(&db.pool, async |application| {
            let grants = format!(
                "GRANT CREATE, USAGE ON SCHEMA public TO {hostile};
                 GRANT USAGE ON SCHEMA public TO {application};
                 CREATE SCHEMA optilock AUTHORIZATION {application};
                 {TABLE};
                 GRANT USAGE ON SCHEMA bank TO {application};
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA bank TO {application}"
            );
            sqlx::raw_sql(AssertSqlSafe(grants))
                .execute(&db.pool)
                .await
                .unwrap();
            let as_role = async |role: &str, search_path: &str, connections| {
                let options = db.database.options().username(role).password("secret");
                let options = options.options([("search_path", search_path)]);
                pool_options(connections)
                    .connect_with(options)
                    .await
                    .unwrap()
            };
            // The hostile role itself must not call its code, so its search path is empty.
            let pool = as_role(hostile, "", 1).await;
            let made = plant(&pool, &names).await;
            println!("{made} hostile functions for {} names", names.len());
            pool.close().await;
            let pool = as_role(application, "\"$user\", public", 8).await;
            let result = work(&db, pool.clone()).await;
            pool.close().await;
            result
        })
        .await
    })
    .await
}

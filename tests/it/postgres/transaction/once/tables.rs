//! Tables of keys: several hosts in one database.

use optilock::{
    postgres::{Error, KeyTable, Once, OnceOptions, create_key_table, forget_keys},
    sqlx::{self, AssertSqlSafe, Executor},
};

use super::effects::{QUICK, effects, once, once_with, with_effects};
use crate::support::{
    db::{Db, assert_idle, pool_options, sql_of, with_role},
    triggers::run,
};

#[tokio::test(flavor = "multi_thread")]
async fn each_table_has_keys_of_its_own() {
    let db = with_effects().await;
    let hostile = KeyTable::new("My \"Schema\".keys'; --").unwrap();
    create_key_table(&db.pool, &hostile).await.unwrap();
    let options = OnceOptions::new().with_table(hostile.clone());
    assert_eq!(once(&db.pool, &QUICK, "k").await.unwrap(), Once::Done(1));
    for expected in [Once::Done(1), Once::AlreadyDone] {
        let answer = once_with(&db.pool, &QUICK, &options, "k").await;
        assert_eq!(answer.unwrap(), expected);
    }
    assert_eq!(effects(&db.pool, "k").await, 2);
    let age = std::time::Duration::from_secs(3_600);
    assert_eq!(forget_keys(&db.pool, &hostile, age, 10).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_processes_create_a_table_at_once() {
    let db = Db::empty().await;
    for name in ["optilock.once_keys", "optilock.other", "host.once_keys"] {
        let table = KeyTable::new(name).unwrap();
        let all = (0..20).map(|_| {
            let (pool, table) = (db.pool.clone(), table.clone());
            tokio::spawn(async move { create_key_table(&pool, &table).await })
        });
        for created in all.collect::<Vec<_>>() {
            created.await.unwrap().unwrap();
        }
    }
    // The inventory's tables can be in the same schema.
    optilock::migrate(&db.pool).await.unwrap();
    create_key_table(&db.pool, &KeyTable::default())
        .await
        .unwrap();
    assert_idle(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_statements_of_the_guide_create_the_default_table() {
    let [sql] = sql_of(include_str!("../../../../../src/guide/once.md"));
    let create = KeyTable::default()
        .create_sql()
        .replace("\"optilock\".\"once_keys\"", "optilock.once_keys");
    assert_eq!(
        sql,
        format!("CREATE SCHEMA IF NOT EXISTS optilock;\n{create}")
    );
    let db = Db::empty().await;
    run(
        &db.pool,
        format!("CREATE TABLE public.effects (key text NOT NULL); {sql}"),
    )
    .await;
    assert_eq!(once(&db.pool, &QUICK, "k").await.unwrap(), Once::Done(1));
}

/// The statements of a migration create what `create_key_table` creates.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_of_the_host_creates_the_same_table() {
    let db = Db::empty().await;
    let (one, other) = (
        KeyTable::new("one.keys").unwrap(),
        KeyTable::new("other.keys").unwrap(),
    );
    create_key_table(&db.pool, &one).await.unwrap();
    run(&db.pool, "CREATE SCHEMA other").await;
    let mut migration = db.pool.begin().await.unwrap();
    migration
        .execute(sqlx::raw_sql(AssertSqlSafe(other.create_sql().to_owned())))
        .await
        .unwrap();
    migration.commit().await.unwrap();
    let columns = "SELECT string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid), a.attcollation), ', ' ORDER BY a.attnum)
            || (SELECT string_agg(replace(i.indexdef, $1, ''), ', ' ORDER BY i.indexname) FROM pg_indexes i
                WHERE i.schemaname = $1)
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = ($1 || '.keys')::regclass AND a.attnum > 0";
    let mut found = Vec::new();
    for schema in ["one", "other"] {
        let columns: String = sqlx::query_scalar(columns)
            .bind(schema)
            .fetch_one(&db.pool)
            .await
            .unwrap();
        found.push(columns);
    }
    assert!(
        found[0].contains("created_at") && found[0].contains("UNIQUE INDEX"),
        "{found:?}"
    );
    assert_eq!(found[0], found[1]);
    create_key_table(&db.pool, &other).await.unwrap();
}

/// The documented privileges are enough, and without the table the error names it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_role_can_use_the_table_and_not_create_one() {
    let db = with_effects().await;
    with_role(&db.pool, async |role| {
        let grant = format!(
            "GRANT USAGE ON SCHEMA optilock, public TO {role};
             GRANT SELECT, INSERT, UPDATE ON optilock.once_keys TO {role};
             GRANT SELECT, INSERT ON public.effects TO {role}"
        );
        run(&db.pool, grant).await;
        let options = db.database.options().username(role).password("secret");
        let own = pool_options(2).connect_with(options).await.unwrap();
        create_key_table(&own, &KeyTable::default()).await.unwrap();
        assert_eq!(once(&own, &QUICK, "k").await.unwrap(), Once::Done(1));
        assert_eq!(once(&own, &QUICK, "k").await.unwrap(), Once::AlreadyDone);

        let missing = KeyTable::new("host.once_keys").unwrap();
        let text = |error: &Error| {
            error
                .as_sqlx()
                .expect("an error of the database")
                .to_string()
        };
        let refused = create_key_table(&own, &missing).await.unwrap_err();
        assert!(
            text(&refused).contains("permission denied for database"),
            "{}",
            text(&refused)
        );
        let options = OnceOptions::new().with_table(missing);
        let refused = once_with(&own, &QUICK, &options, "k").await.unwrap_err();
        assert!(
            text(&refused.error).contains("\"host.once_keys\" does not exist"),
            "{}",
            text(&refused.error)
        );
        assert_eq!(effects(&db.pool, "k").await, 1);
        own.close().await;
    })
    .await;
}

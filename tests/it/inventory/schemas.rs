//! Shops in schemas of their own.

use std::sync::Arc;

use optilock::{
    RetryPolicy,
    inventory::{
        ArchivePosition, AuditPosition, BatchOptions, BatchedInventory, Checkout, ErrorKind,
        FeedPosition, Inventory, Janitor, Line, OutboxPosition, PgInventory, Quantity,
    },
    migrate_schema,
    postgres::transact,
    sqlx::{self, AssertSqlSafe, PgPool},
    testing::fulfils_contract as fulfil,
};

use crate::support::{
    SHUTDOWN,
    db::{Db, pool_options, with_role},
    goods::{add, sku},
    idle_hook::IdleHook,
    strategies::STRATEGIES,
    triggers::run,
};

const NAMES: [&str; 2] = ["shop_042", "Ana's \"shop\""];

/// Returns a database with these two schemas and without the default one: a statement that names it fails.
async fn two_shops() -> (Db, [PgInventory; 2]) {
    let db = Db::empty().await;
    for name in NAMES {
        migrate_schema(&db.pool, name).await.unwrap();
        migrate_schema(&db.pool, name).await.unwrap();
    }
    let shops = NAMES.map(|name| PgInventory::new(db.pool.clone()).in_schema(name).unwrap());
    (db, shops)
}

/// Returns a text that changes with every row of the schema.
async fn content(pool: &PgPool, schema: &str) -> String {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT pg_catalog.format('%I.%I', schemaname, tablename) FROM pg_catalog.pg_tables
         WHERE schemaname = $1 ORDER BY 1",
    )
    .bind(schema)
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(tables.len() > 8, "{tables:?}");
    let mut content = String::new();
    for table in tables {
        let rows = format!(
            "SELECT pg_catalog.concat(pg_catalog.count(*), ' ', pg_catalog.md5(pg_catalog.string_agg(
                 t::text || t.xmin, ',' ORDER BY t::text))) FROM {table} t"
        );
        let rows: String = sqlx::query_scalar(AssertSqlSafe(rows))
            .fetch_one(pool)
            .await
            .unwrap();
        content += &format!("{table}: {rows}\n");
    }
    content
}

async fn assert_clean(shops: &[PgInventory]) {
    for shop in shops {
        let audit = shop.audit().await.unwrap();
        assert!(audit.discrepancies.is_empty(), "{audit:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schemas_fulfil_the_contract_at_once_by_each_strategy() {
    for strategy in STRATEGIES {
        let (_db, shops) = two_shops().await;
        let [one, other] = shops.clone();
        let one = one.with_strategy(strategy).with_outbox();
        let other = other.with_strategy(strategy).with_hook(Arc::new(IdleHook));
        tokio::join!(fulfil(&one), fulfil(&other));
        assert_clean(&shops).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schemas_fulfil_the_contract_at_once_in_batches() {
    let (_db, shops) = two_shops().await;
    let options = BatchOptions::new().always();
    let [one, other] = shops.clone();
    let one = BatchedInventory::new(one.with_outbox(), options);
    let other = BatchedInventory::new(other.with_connection_reuse(), options);
    tokio::join!(fulfil(&one), fulfil(&other));
    for shop in [one, other] {
        shop.shutdown(SHUTDOWN).await.unwrap();
    }
    assert_clean(&shops).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_schema_reaches_the_other() {
    let (db, [one, other]) = two_shops().await;
    let (pot, new_pot) = (sku("one pot"), add(&other, "one pot", 7).await);
    fulfil(&one.clone().with_outbox()).await;
    add(&one, "one pot", 2).await;
    let before = content(&db.pool, NAMES[1]).await;
    let hooked = one.clone().with_hook(Arc::new(IdleHook)).with_outbox();
    let cart = || Checkout::new([Line::new(pot.clone(), Quantity::ONE)]).unwrap();
    let sold = cart();
    let policy = RetryPolicy::new();
    let order = transact(&db.pool, &policy, async |tx| {
        hooked.checkout_in(tx, &sold).await
    })
    .await
    .unwrap();
    let janitor = Janitor::new(one.clone()).with_unpaid_after(std::time::Duration::ZERO);
    janitor.run_once().await.unwrap();
    let feed = one.movements_since(&FeedPosition::START, 10).await;
    assert!(!feed.unwrap().movements.is_empty());
    one.outbox_since(&OutboxPosition::START, 10).await.unwrap();
    assert_eq!(content(&db.pool, NAMES[1]).await, before);
    assert_eq!(other.product(&pot).await.unwrap(), new_pot);
    let missing = other.order(order.id).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}

/// A role that may use one schema: a statement that names another one fails.
#[tokio::test(flavor = "multi_thread")]
async fn no_statement_of_a_shop_names_another_schema() {
    let (db, _shops) = two_shops().await;
    with_role(&db.pool, async |role| {
        let grants = format!(
            "GRANT USAGE ON SCHEMA shop_042 TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop_042 TO {role}"
        );
        run(&db.pool, grants).await;
        let options = db.database.options().username(role).password("secret");
        let pool = pool_options(4).connect_with(options).await.unwrap();
        let other = "SELECT FROM \"Ana's \"\"shop\"\"\".products";
        sqlx::query(other).execute(&pool).await.unwrap_err();
        let shop = PgInventory::new(pool.clone()).in_schema(NAMES[0]).unwrap();
        fulfil(&shop.clone().with_outbox()).await;
        let page = shop
            .audit_range(&AuditPosition::START, 1_000)
            .await
            .unwrap();
        assert!(page.discrepancies.is_empty(), "{page:?}");
        let ended = ArchivePosition::before("2999-01-01T00:00:00Z".parse().unwrap());
        shop.archive(&ended, 100).await.unwrap();
        shop.movements_since(&FeedPosition::START, 10)
            .await
            .unwrap();
        shop.outbox_since(&OutboxPosition::START, 10).await.unwrap();
        pool.close().await;
    })
    .await;
}

/// Errors that are recognised by a name of the schema's: a ledger whose key is taken, and a suppressed write.
#[tokio::test(flavor = "multi_thread")]
async fn errors_are_those_of_the_default_schema() {
    let (db, [_, shop]) = two_shops().await;
    let schema = "\"Ana's \"\"shop\"\"\"";
    add(&shop, "pot", 5).await;
    let buy = || Checkout::new([Line::new(sku("pot"), Quantity::ONE)]).unwrap();
    shop.checkout(buy()).await.unwrap();
    let set_back = format!("UPDATE {schema}.products SET version = 1");
    run(&db.pool, set_back).await;
    let refused = shop.checkout(buy()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::VersionSetBack, "{refused:?}");
    let put_right = format!("UPDATE {schema}.products SET version = 2");
    run(&db.pool, put_right).await;
    shop.checkout(buy()).await.unwrap();
    let swallow = format!(
        "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER swallow BEFORE INSERT ON {schema}.movements
             FOR EACH ROW EXECUTE FUNCTION public.swallow()"
    );
    run(&db.pool, swallow).await;
    let refused = shop.checkout(buy()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Suppressed, "{refused:?}");
    assert_eq!(refused.table(), Some("movements"));
}

#[tokio::test]
async fn names_that_postgresql_refuses_are_refused() {
    let db = Db::empty().await;
    for name in ["", "pg_shop", "information_schema", "a\0b", &"x".repeat(64)] {
        let error = PgInventory::new(db.pool.clone()).in_schema(name);
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid, "{name:?}");
        assert!(migrate_schema(&db.pool, name).await.is_err(), "{name:?}");
    }
}

//! The roles of a shop, each with its own login.

use optilock::{
    inventory::{Inventory, PgInventory},
    postgres::PgRepository,
    sqlx::{self, PgPool},
};

use crate::support::{
    db::{Db, assert_balanced, pool_options},
    goods::{add, cart, new_product, sku, stock},
    triggers::run,
};

#[path = "../../../src/guide/recipes/restricted_roles.rs"]
mod recipe;
use recipe::{BoxError, Customer};

const SQL: &str = include_str!("../../../src/guide/recipes/restricted_roles.sql");
const ROLES: [&str; 4] = ["owner", "app", "sales", "reports"];

/// A database with the roles of the recipe. Roles belong to the server, so each test has names of its own.
struct Roles {
    db: Db,
    prefix: String,
    after_migration: String,
}

impl Roles {
    async fn new() -> Self {
        let db = Db::empty().await;
        let prefix = format!("optilock_{:016x}_", rand::random::<u64>());
        let sql = SQL.replace("shop_", &prefix);
        let (before, after) = sql.split_once("-- After the first migration").unwrap();
        run(&db.pool, before).await;
        for role in ROLES {
            run(
                &db.pool,
                format!("ALTER ROLE {prefix}{role} PASSWORD 'secret'"),
            )
            .await;
        }
        let after_migration = format!("--{after}");
        Self {
            db,
            prefix,
            after_migration,
        }
    }

    async fn pool(&self, role: &str) -> PgPool {
        let name = format!("{}{role}", self.prefix);
        let options = self.db.database.options().username(&name);
        let options = options.password("secret");
        pool_options(2).connect_with(options).await.unwrap()
    }

    async fn migrate(&self) {
        let owner = self.pool("owner").await;
        recipe::migrate(&owner).await.unwrap();
        run(&owner, self.after_migration.as_str()).await;
        owner.close().await;
    }

    async fn drop(self) {
        for role in ROLES {
            let name = format!("{}{role}", self.prefix);
            run(
                &self.db.pool,
                format!("DROP OWNED BY {name} CASCADE; DROP ROLE {name}"),
            )
            .await;
        }
    }
}

fn assert_forbidden<T: std::fmt::Debug, E: Into<BoxError>>(result: Result<T, E>) {
    let error: BoxError = result.expect_err("the role lacks the right").into();
    let mut source = Some(&*error as &(dyn std::error::Error + 'static));
    while let Some(error) = source {
        if let Some(sqlx::Error::Database(error)) = error.downcast_ref() {
            assert_eq!(error.code().as_deref(), Some("42501"), "{error}");
            return;
        }
        source = error.source();
    }
    panic!("{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_application_runs_without_the_right_to_change_tables() {
    let roles = Roles::new().await;
    let pool = roles.pool("app").await;
    assert!(recipe::start(&pool).await.is_err(), "no migration has run");
    roles.migrate().await;

    let shop = recipe::start(&pool).await.unwrap();
    add(&shop, "pot", 3).await;
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let customer = "INSERT INTO crm.customers VALUES (1, 'Ana')";
    sqlx::query(customer).execute(&pool).await.unwrap();
    let customers = PgRepository::<Customer>::new(pool.clone());
    let ana = customers.get(&1).await.unwrap();
    let ana = customers.update(&ana).await.unwrap();
    customers.delete(&1, ana.version).await.unwrap();
    for forbidden in [
        "CREATE TABLE crm.others (id bigint)",
        "ALTER TABLE crm.customers DROP COLUMN name",
        "DROP TABLE optilock.products",
        "DELETE FROM optilock._sqlx_migrations",
    ] {
        assert_forbidden(sqlx::query(forbidden).execute(&pool).await);
    }
    pool.close().await;
    assert_balanced(&roles.db.pool).await;
    roles.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_only_sell_sells_and_changes_no_product() {
    let roles = Roles::new().await;
    roles.migrate().await;
    let app = roles.pool("app").await;
    add(&PgInventory::new(app.clone()), "pot", 9).await;
    add(&PgInventory::new(app.clone()), "mug", 9).await;
    app.close().await;

    let pool = roles.pool("sales").await;
    let shop = PgInventory::new(pool.clone());
    let sold = shop
        .checkout(cart(&[("pot", 1), ("mug", 2)]))
        .await
        .unwrap();
    let paid = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    shop.mark_paid(paid.id).await.unwrap();
    shop.cancel(sold.id, "too late").await.unwrap();
    let pot = shop.product(&sku("pot")).await.unwrap();
    assert_eq!(pot.stock, stock(8));
    assert_forbidden(shop.add_product(new_product("cup", 1)).await);
    assert_forbidden(shop.retire_product(&sku("pot"), pot.version).await);
    for forbidden in [
        "UPDATE optilock.products SET price = 1",
        "DELETE FROM optilock.movements",
        "UPDATE optilock.movements SET delta = 0",
        "SELECT FROM crm.customers",
    ] {
        assert_forbidden(sqlx::query(forbidden).execute(&pool).await);
    }
    pool.close().await;

    let pool = roles.pool("reports").await;
    let audit = PgInventory::new(pool.clone()).audit().await.unwrap();
    assert!(audit.is_clean(), "{audit}");
    assert_forbidden(
        PgInventory::new(pool.clone())
            .checkout(cart(&[("pot", 1)]))
            .await,
    );
    pool.close().await;
    assert_balanced(&roles.db.pool).await;
    roles.drop().await;
}

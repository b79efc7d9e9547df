//! Futures of public operations that are dropped after each of their polls: the next user of the connection
//! loses no write, and the audit finds no discrepancy.

mod checkouts;
mod maintenance;
mod orders;
mod products;
mod reservations;
mod rows;

use std::pin::Pin;

use optilock::{
    inventory::PgInventory,
    sqlx::{self, PgPool},
};

use crate::{
    support::db::{Db, assert_balanced, pool_options},
    support::goods::add,
    support::polling::PollAtMost,
};

type Operation<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A database with a pool of one connection, which every operation uses.
struct OneConnection {
    db: Db,
    pool: PgPool,
    /// Uses the one connection.
    shop: PgInventory,
    /// Uses other connections.
    direct: PgInventory,
}

impl OneConnection {
    /// Creates a shop with many pots and mugs.
    async fn with_products() -> Self {
        let this = Self::new().await;
        for name in ["pot", "mug"] {
            add(&this.direct, name, 100_000).await;
        }
        this
    }

    async fn new() -> Self {
        let db = Db::new().await;
        sqlx::query("CREATE TABLE public.canary (id bigserial PRIMARY KEY)")
            .execute(&db.pool)
            .await
            .unwrap();
        let pool = pool_options(1)
            .connect_with(db.database.options())
            .await
            .unwrap();
        let shop = PgInventory::new(pool.clone());
        let direct = PgInventory::new(db.pool.clone());
        Self {
            db,
            pool,
            shop,
            direct,
        }
    }

    /// Starts the operation again and again, drops it after one poll, two polls and so on, and checks the
    /// connection each time, until the operation completes.
    async fn drop_after_each_poll<'a>(&self, label: &str, make: impl Fn() -> Operation<'a>) {
        for polls in 1.. {
            assert!(polls < 200, "{label} never completes");
            let completed = PollAtMost(make(), polls).await.is_some();
            let label = format!("{label}, dropped after {polls} polls");
            self.assert_writes_are_committed(&label).await;
            if completed {
                break;
            }
        }
        assert_balanced(&self.db.pool).await;
    }

    /// Asserts that other connections see what the next user of the one connection writes.
    async fn assert_writes_are_committed(&self, label: &str) {
        let id: i64 = sqlx::query_scalar("INSERT INTO public.canary DEFAULT VALUES RETURNING id")
            .fetch_one(&self.pool)
            .await
            .unwrap_or_else(|error| panic!("{label}: {error}"));
        let seen: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM public.canary WHERE id = $1)")
                .bind(id)
                .fetch_one(&self.db.pool)
                .await
                .unwrap();
        assert!(seen, "{label}: an acknowledged insert was never committed");
    }
}

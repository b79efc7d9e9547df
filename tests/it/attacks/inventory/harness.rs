//! What an operation of the inventory runs on, and the comparison of its answer with the stored rows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use optilock::{
    RetryPolicy,
    inventory::{Inventory, OnAccepted, PgInventory, Product},
    sqlx::{self, PgPool},
};
use tokio::time::timeout;

use super::{Answer, FLOOR, Fixture, LIMIT, POLICY, Shop, Variant, balances, matrix};
use crate::support::{
    db::{Db, assert_idle, pool_options},
    proxy::Proxy,
    triggers::run,
};

/// What operations run on. The pool is under attack, the database's own pool is not.
#[derive(Clone)]
pub struct Harness {
    pub db: Arc<Db>,
    pub pool: PgPool,
    pub policy: RetryPolicy,
    pub limit: Duration,
    /// Whether the rows stay for the next cell. A cell sets it; the balances are then checked after a later cell.
    pub keep_rows: Arc<AtomicBool>,
    /// Whether the pool belongs to another runtime, which is not driven when the answer is judged.
    pub is_foreign: bool,
}

/// The stored rows of one run, and their description from before the run.
pub struct Prepared {
    pub fixture: Fixture,
    pub before: String,
}

impl Harness {
    pub async fn on(db: Db) -> Self {
        let db = Arc::new(db);
        let pool = pool_options(4)
            .acquire_timeout(Duration::from_secs(3))
            .connect_with(db.database.options())
            .await
            .unwrap();
        Self {
            db,
            pool,
            policy: POLICY,
            limit: LIMIT,
            keep_rows: Arc::default(),
            is_foreign: false,
        }
    }

    /// Returns a harness on the same database with another pool.
    pub fn through(&self, pool: PgPool) -> Self {
        Self {
            pool,
            ..self.clone()
        }
    }

    /// Returns the same with a pool of another runtime.
    pub fn through_foreign(&self, pool: PgPool) -> Self {
        Self {
            is_foreign: true,
            ..self.through(pool)
        }
    }

    /// Returns a harness on the same database with a new pool of `connections` with these settings.
    pub async fn with_settings(&self, connections: u32, settings: &[(&str, &str)]) -> Self {
        let options = self.db.database.options().options(settings.iter().copied());
        let pool = pool_options(connections)
            .acquire_timeout(Duration::from_secs(3))
            .connect_with(options)
            .await
            .unwrap();
        self.through(pool)
    }

    pub async fn proxied(&self, connections: u32) -> (Proxy, Self) {
        let proxy = Proxy::new(&self.db).await;
        let pool = proxy
            .pool_with(pool_options(connections).acquire_timeout(Duration::from_secs(3)))
            .await;
        (proxy, self.through(pool))
    }

    /// Returns the inventory of the variant, with what its row asks for.
    pub fn shop(&self, variant: &Variant) -> Shop {
        Shop::of(variant, &self.pool, self.policy.clone())
    }

    /// Returns an inventory of the variant with a hook of the host.
    pub fn shop_with_hook(&self, variant: &Variant, hook: impl OnAccepted + 'static) -> Shop {
        let pg = self.shop(variant).pg.with_hook(Arc::new(hook));
        Shop::new(pg, self.pool.clone(), variant.layer)
    }

    /// Stores the rows that the operation needs.
    pub async fn prepare(&self, variant: &Variant) -> Prepared {
        self.store(Fixture::new(variant.operation.setup)).await
    }

    /// Stores the rows of this fixture.
    pub async fn store(&self, fixture: Fixture) -> Prepared {
        fixture.store(&self.db.pool).await;
        let before = fixture.stored(&self.db.pool).await;
        Prepared { fixture, before }
    }

    /// Runs the operation once, within its limit.
    pub async fn attempt(&self, variant: &Variant, fixture: &Fixture, cell: &str) -> Answer {
        let shop = self.shop(variant);
        shop.view([fixture.pot(), fixture.mug()]).await;
        if let Some(cache) = shop.cache.as_ref().filter(|_| !self.is_foreign) {
            fixture.caches.lock().unwrap().push(Arc::clone(cache));
        }
        let answer = timeout(self.limit, (variant.operation.run)(&shop, fixture)).await;
        Answer::of(answer.unwrap_or_else(|_| panic!("{cell}: it does not end")))
    }

    /// Asserts that the stored rows agree with the answer once nothing runs any more. The answer of a dropped
    /// operation is `None`.
    pub async fn judge(
        &self,
        variant: &Variant,
        prepared: &Prepared,
        answer: Option<&Answer>,
        cell: &str,
    ) {
        assert_idle(&self.db.pool).await;
        self.compare(variant, prepared, answer, cell).await;
    }

    /// Asserts that the stored rows agree with the answer.
    pub async fn compare(
        &self,
        variant: &Variant,
        Prepared { fixture, before }: &Prepared,
        answer: Option<&Answer>,
        cell: &str,
    ) {
        let stored = fixture.stored(&self.db.pool).await;
        let after = variant.operation.after.unwrap_or(before);
        let agrees = match answer {
            Some(Answer::Done) => stored == after,
            Some(Answer::NotDone(_)) if variant.operation.is_several() => {
                stored == *before || stored == after
            }
            Some(Answer::NotDone(_) | Answer::NothingToDo) => stored == *before,
            Some(Answer::Unknown(_)) | None => stored == *before || stored == after,
        };
        assert!(
            agrees,
            "{cell}: {answer:?}, and stored is\n  {stored}\nbefore it was\n  {before}\ndone would be\n  {after}"
        );
        self.compare_displayed(fixture, answer, cell).await;
    }

    /// Asserts that the caches through which the operation ran display the stored stock.
    async fn compare_displayed(&self, fixture: &Fixture, answer: Option<&Answer>, cell: &str) {
        if matches!(answer, Some(Answer::NotDone(error)) if error.is_busy()) {
            return; // its last answer is all that a cache can display, and nothing happened
        }
        let caches = std::mem::take(&mut *fixture.caches.lock().unwrap());
        let stored = PgInventory::new(self.db.pool.clone());
        for cache in caches {
            for sku in [fixture.pot(), fixture.mug()] {
                let displayed = cache
                    .display(&sku)
                    .await
                    .map(|it| (it.shown(), it.is_paused()));
                let product = stored.product(&sku).await;
                let agrees = match (&displayed, &product) {
                    (Ok(displayed), Ok(Product { paused: true, .. })) => *displayed == (0, true),
                    (Ok(displayed), Ok(product)) => *displayed == (product.available(), false),
                    (Err(error), Err(_)) if error.is_not_found() => true,
                    (Err(_), _) => cache.inventory().audit().await.is_err(),
                    (Ok(_), Err(_)) => false,
                };
                assert!(
                    agrees,
                    "{cell}: displayed is {displayed:?}, stored is {product:?}"
                );
            }
        }
    }

    /// Runs the operation on new rows and judges its answer.
    pub async fn run(&self, variant: &Variant, cell: &str) -> Answer {
        let prepared = self.prepare(variant).await;
        let answer = self.attempt(variant, &prepared.fixture, cell).await;
        self.judge(variant, &prepared, Some(&answer), cell).await;
        answer
    }

    /// The same, and asserts that the operation is done.
    pub async fn expect_done(&self, variant: &Variant, cell: &str) {
        let answer = self.run(variant, cell).await;
        assert!(answer.is_done(), "{cell}: {answer:?}");
    }
}

impl matrix::Harness for Harness {
    const FLOOR: &'static str = FLOOR;
    const LIMIT: Duration = LIMIT;

    type Variant = Variant;

    fn variants() -> Vec<Variant> {
        Variant::all().collect()
    }

    async fn new() -> Self {
        Self::on(Db::new().await).await
    }

    fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    async fn check_after(&self, cell: &str) {
        assert_idle(&self.db.pool).await;
        let acquired = async {
            let mut all = Vec::new();
            for _ in 0..self.pool.options().get_max_connections() {
                all.push(self.pool.acquire().await?);
            }
            Ok::<_, sqlx::Error>(())
        };
        let acquired = timeout(Duration::from_secs(5), acquired).await;
        assert!(
            matches!(acquired, Ok(Ok(()))),
            "{cell}: the pool lost connections: {acquired:?}"
        );
        if !self.keep_rows.swap(false, SeqCst) {
            balances::assert_balanced(&self.db.pool, cell).await;
            balances::clear(&self.db.pool).await;
        }
    }

    async fn reset(&self) {
        const RESET: &str = "SET lock_timeout = '1s';
            DO $$ DECLARE it record; BEGIN
                FOR it IN SELECT tgname, tgrelid::regclass AS on_table FROM pg_trigger
                    WHERE tgname IN ('tamper', 'refuse')
                LOOP EXECUTE format('DROP TRIGGER %I ON %s', it.tgname, it.on_table); END LOOP;
                FOR it IN SELECT polname, polrelid::regclass AS on_table FROM pg_policy
                LOOP
                    EXECUTE format('DROP POLICY %I ON %s', it.polname, it.on_table);
                    EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', it.on_table);
                END LOOP;
            END $$;
            RESET lock_timeout";
        self.keep_rows.store(false, SeqCst);
        run(&self.db.pool, RESET).await;
        balances::clear(&self.db.pool).await;
        self.check_after("reset").await;
    }
}

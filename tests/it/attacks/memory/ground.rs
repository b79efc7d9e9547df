//! The inventory and the rows of one run, and the comparison of its answer with the stored rows.

use std::sync::Arc;

use optilock::inventory::{Inventory, MemoryInventory, Page};
use tokio::time::timeout;

use super::{Answer, Harness, Variant, rows};
use crate::attacks::inventory::{fixture::Fixture, shop::Shop};

pub struct Ground {
    pub harness: Harness,
    pub shop: Arc<MemoryInventory>,
    pub fixture: Fixture,
    before: String,
    after: String,
}

impl Ground {
    /// Stores the rows that the operation needs, twice: an undisturbed run on the second ones shows what is stored
    /// when it is done.
    pub async fn new(harness: &Harness, variant: &Variant, cell: &str) -> Self {
        Self::changed(harness, variant, cell, |_| {}).await
    }

    /// The same with a change of the fixtures.
    pub async fn changed(
        harness: &Harness,
        variant: &Variant,
        cell: &str,
        change: impl Fn(&mut Fixture),
    ) -> Self {
        let undisturbed = Self::stored(harness, variant, &change).await;
        let answer = undisturbed.attempt(variant, cell).await;
        assert!(answer.is_done(), "{cell}: undisturbed {answer:?}");
        let after = undisturbed.describe().await;
        let ground = Self::stored(harness, variant, &change).await;
        assert_eq!(
            after != ground.before,
            variant.0.writes(),
            "{cell}: done is\n  {after}"
        );
        Self { after, ..ground }
    }

    async fn stored(harness: &Harness, variant: &Variant, change: impl Fn(&mut Fixture)) -> Self {
        let mut fixture = Fixture::new(variant.0.setup);
        fixture.is_new = true;
        change(&mut fixture);
        let shop = Arc::new(MemoryInventory::new());
        rows::store(&shop, &fixture).await;
        let before = rows::describe(&shop, &fixture).await;
        Self {
            harness: harness.clone(),
            shop,
            fixture,
            after: before.clone(),
            before,
        }
    }

    /// Stores further rows in the same inventory.
    pub async fn beside(&self, variant: &Variant) -> Self {
        let mut fixture = Fixture::new(variant.0.setup);
        fixture.is_new = true;
        rows::store(&self.shop, &fixture).await;
        Self {
            harness: self.harness.clone(),
            shop: Arc::clone(&self.shop),
            fixture,
            before: self.before.clone(),
            after: self.after.clone(),
        }
    }

    /// Returns the shop for a run of the operation.
    pub fn shop(&self) -> Shop {
        let (pg, pool) = &*self.harness.pg;
        Shop {
            pg: pg.clone(),
            pool: pool.clone(),
            front: Arc::clone(&self.shop) as Arc<dyn Inventory>,
            cache: None,
        }
    }

    /// Runs the operation once, within its limit.
    pub async fn attempt(&self, variant: &Variant, cell: &str) -> Answer {
        let shop = self.shop();
        let answer = timeout(self.harness.limit, (variant.0.run)(&shop, &self.fixture)).await;
        Answer::of(answer.unwrap_or_else(|_| panic!("{cell}: it does not end")))
    }

    pub async fn describe(&self) -> String {
        rows::describe(&self.shop, &self.fixture).await
    }

    /// Asserts that the stored rows agree with the answer and with each other. The answer of an operation that was
    /// dropped before it began is `None`.
    pub async fn judge(&self, answer: Option<&Answer>, cell: &str) {
        let stored = self.describe().await;
        let (before, after) = (&self.before, &self.after);
        let agrees = match answer {
            Some(Answer::Done) => stored == *after,
            Some(Answer::NotDone(_) | Answer::NothingToDo) | None => stored == *before,
            Some(Answer::Unknown(_)) => false,
        };
        assert!(
            agrees,
            "{cell}: {answer:?}, and stored is\n  {stored}\nbefore it was\n  {before}\ndone would be\n  {after}"
        );
        self.check(cell).await;
    }

    /// Asserts that stock and ledger agree, by the audit and by the movements.
    pub async fn check(&self, cell: &str) {
        let audit = self.shop.audit().await.unwrap();
        assert!(audit.is_clean(), "{cell}: {audit}");
        for sku in [self.fixture.pot(), self.fixture.mug()] {
            let movements = self.shop.movements(&sku, Page::first(100)).await.unwrap();
            let mut stock = 0_i64;
            for (at, movement) in movements.iter().enumerate() {
                stock += movement.delta;
                let version = i64::try_from(at + 1).unwrap();
                let agrees = movement.stock_after == stock && movement.version.get() == version;
                assert!(agrees, "{cell}: {movement:?} after a stock of {stock}");
            }
            if let Ok(product) = self.shop.product(&sku).await {
                let reserved = product.reserved.get();
                let agrees = product.stock.get() == stock && (0..=stock).contains(&reserved);
                assert!(agrees, "{cell}: {product:?}, and the ledger has {stock}");
            }
        }
    }
}

//! Texts with SQL in them, through every text of every operation, by each strategy and batched: they come back
//! unchanged, and the tables are still there.

use std::{cell::Cell, time::Duration};

use optilock::inventory::{
    Adjustment, BatchOptions, BatchedInventory, Checkout, FeedPosition, Inventory, Line,
    MovementKind, NewProduct, Order, OrderFilter, OutboxPosition, Page, PgInventory, Product,
    Reserve, ReturnRequest, Sku,
};
use proptest::{
    collection::vec, prop_assert, prop_assert_eq, strategy::Strategy, test_runner::TestCaseError,
};
use tokio::runtime::Runtime;

use super::{
    CASES,
    requests::{self, Case, is_applied_or_refused},
    texts::hostile,
};
use crate::support::{
    db::{Db, assert_balanced},
    goods::{pesos, stock, units},
    strategies::STRATEGIES,
};

/// The cases of a run that is not asked for all, and those of one that is: each is a dozen operations on a server.
const SOME: u32 = CASES / 4_000;
const ALL: u32 = CASES / 100;

/// The texts of one case.
#[derive(Clone, Debug)]
struct Texts {
    sku: Sku,
    name: String,
    customer: String,
    key: String,
    reason: String,
}

fn texts() -> impl Strategy<Value = [String; 5]> {
    vec(hostile(), 5).prop_map(|texts| texts.try_into().expect("five texts"))
}

impl Texts {
    /// Each case has its own product and customer.
    fn new([sku, name, customer, key, reason]: [String; 5], number: u32) -> Self {
        let own = |text: &str| {
            let text = format!("{text}{number}");
            text.trim().to_owned()
        };
        Self {
            sku: Sku::new(own(&sku)).unwrap(),
            name: own(&name),
            customer: own(&customer),
            key: own(&key),
            reason: own(&reason),
        }
    }

    fn checkout(&self) -> Checkout {
        let lines = [Line::new(self.sku.clone(), units(2))];
        Checkout::new(lines).unwrap().with_customer(&*self.customer)
    }
}

async fn products(shop: &dyn Inventory, texts: &Texts) -> Result<(), TestCaseError> {
    let new = NewProduct::new(texts.sku.clone(), &*texts.name, pesos(5));
    let added = shop.add_product(new.with_stock(stock(100))).await.unwrap();
    let unchanged = |product: &Product| (&product.sku, &product.name) == (&texts.sku, &texts.name);
    prop_assert!(unchanged(&added), "{:?}", added);
    let mut read = shop.product(&texts.sku).await.unwrap();
    prop_assert!(unchanged(&read), "{:?}", read);
    let of = shop
        .products_of(std::slice::from_ref(&texts.sku))
        .await
        .unwrap();
    prop_assert!(of.len() == 1 && unchanged(&of[0]), "{:?}", of);
    let after = shop
        .products(Page::after(texts.sku.clone(), 1_000))
        .await
        .unwrap();
    prop_assert!(after.iter().all(|product| product.sku > texts.sku));
    read.name.clone_from(&texts.reason);
    let updated = shop.update_product(&read).await.unwrap();
    prop_assert_eq!(&updated.name, &texts.reason);
    shop.pause(&texts.sku).await.unwrap();
    shop.resume(&texts.sku).await.unwrap();
    let adjustment = Adjustment::new(texts.sku.clone(), 1, &*texts.reason).unwrap();
    let adjusted = shop.adjust_stock(adjustment).await.unwrap();
    let version = shop
        .product_at(&texts.sku, adjusted.version)
        .await
        .unwrap()
        .version;
    let counted = shop.count_stock(&texts.sku, version, stock(50), &texts.reason);
    counted.await.unwrap();
    Ok(())
}

async fn orders(shop: &dyn Inventory, texts: &Texts) -> Result<(), TestCaseError> {
    let customer = Some(&*texts.customer);
    let reserve = Reserve::new([(texts.sku.clone(), units(3))]).unwrap();
    let reserve = reserve
        .with_customer(&*texts.customer)
        .with_idempotency_key(&*texts.key);
    let reserved = shop.reserve(reserve.clone()).await.unwrap();
    prop_assert_eq!(reserved.customer.as_deref(), customer);
    prop_assert_eq!(&reserved.holds[0].sku, &texts.sku);
    prop_assert!(shop.reserve(reserve).await.unwrap().replayed);
    shop.extend(reserved.id, Duration::from_secs(900))
        .await
        .unwrap();
    let request = texts
        .checkout()
        .with_reservation(reserved.id)
        .with_idempotency_key(&*texts.key);
    let unchanged =
        |order: &Order| order.customer.as_deref() == customer && order.lines[0].sku == texts.sku;
    let order = shop.checkout(request.clone()).await.unwrap();
    prop_assert!(unchanged(&order), "{:?}", order);
    prop_assert!(shop.checkout(request).await.unwrap().replayed);
    shop.release(reserved.id).await.unwrap();
    let read = shop.reservation(reserved.id).await.unwrap();
    prop_assert_eq!(read.customer.as_deref(), customer);
    shop.mark_paid(order.id).await.unwrap();
    let back = [(texts.sku.clone(), units(1))];
    let back = ReturnRequest::new(order.id, back, &*texts.reason).unwrap();
    shop.return_items(back).await.unwrap();
    let second = shop.checkout(texts.checkout()).await.unwrap();
    shop.mark_payment_failed(second.id).await.unwrap();
    shop.cancel(second.id, &texts.reason).await.unwrap();
    shop.revive(second.id).await.unwrap();
    shop.cancel(second.id, &texts.reason).await.unwrap();
    let filter = OrderFilter::all().with_customer(&*texts.customer);
    let found = shop.orders(filter, Page::first(10)).await.unwrap();
    prop_assert!(
        found.len() == 2 && found.iter().all(unchanged),
        "{:?}",
        found
    );
    Ok(())
}

/// Every reason that was given is in the ledger as it was.
async fn reasons(shop: &dyn Inventory, texts: &Texts) -> Result<(), TestCaseError> {
    let movements = shop.movements(&texts.sku, Page::first(100)).await.unwrap();
    prop_assert!(movements.iter().all(|it| it.sku == texts.sku));
    let reasons: Vec<&str> = movements
        .iter()
        .filter_map(|it| it.reason.as_deref())
        .collect();
    prop_assert!(reasons.len() >= 2, "{:?}", movements);
    prop_assert!(
        reasons.iter().all(|it| *it == texts.reason),
        "{:?}",
        reasons
    );
    let kinds = [
        MovementKind::Sale,
        MovementKind::Reserved,
        MovementKind::Released,
    ];
    for kind in kinds {
        prop_assert!(
            movements.iter().any(|it| it.kind == kind),
            "no {}",
            kind.as_str()
        );
    }
    Ok(())
}

/// The feeds return the texts as well, and their positions survive as text.
async fn feeds(
    shop: &PgInventory,
    texts: &Texts,
    from: &FeedPosition,
) -> Result<FeedPosition, TestCaseError> {
    let position: FeedPosition = from.to_string().parse().unwrap();
    let page = shop.movements_since(&position, 1_000).await.unwrap();
    prop_assert!(page.movements.iter().any(|it| it.sku == texts.sku));
    let page_of_outbox = shop
        .outbox_since(&OutboxPosition::START, 1_000)
        .await
        .unwrap();
    let next: OutboxPosition = page_of_outbox.next.to_string().parse().unwrap();
    shop.acknowledge_outbox(&next).await.unwrap();
    Ok(page.next)
}

struct Shops {
    runtime: Runtime,
    db: Db,
    plain: Vec<PgInventory>,
    batched: BatchedInventory,
}

impl Shops {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let (db, plain, batched) = runtime.block_on(async {
            let db = Db::new().await;
            let plain = STRATEGIES.map(|strategy| {
                let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
                shop.with_outbox()
            });
            let options = BatchOptions::new().always();
            let batched = BatchedInventory::new(plain[0].clone(), options);
            (db, plain.to_vec(), batched)
        });
        Self {
            runtime,
            db,
            plain,
            batched,
        }
    }

    /// Each case uses the next of the inventories.
    fn of(&self, number: u32) -> &dyn Inventory {
        match number as usize % (self.plain.len() + 1) {
            0 => &self.batched,
            index => &self.plain[index - 1],
        }
    }

    /// The tables are there, with the rows of all cases, and the ledger balances.
    fn assert_whole(&self) {
        self.runtime.block_on(assert_balanced(&self.db.pool));
    }
}

fn texts_are_no_statements(cases: u32) {
    let shops = Shops::new();
    let (number, position) = (Cell::new(0), Cell::new(FeedPosition::START));
    super::run("texts of operations", cases, texts(), |texts| {
        let number = number.replace(number.get() + 1);
        let texts = Texts::new(texts, number);
        shops.runtime.block_on(async {
            let shop = shops.of(number);
            products(shop, &texts).await?;
            orders(shop, &texts).await?;
            reasons(shop, &texts).await?;
            let from = position.replace(FeedPosition::START);
            position.set(feeds(&shops.plain[0], &texts, &from).await?);
            Ok(())
        })
    });
    shops.assert_whole();
}

fn requests_are_applied_or_refused(cases: u32) {
    let shops = Shops::new();
    let number = Cell::new(0);
    super::run(
        "requests to a database",
        cases,
        requests::operations(),
        |operation| {
            let number = number.replace(number.get() + 1);
            shops.runtime.block_on(async {
                let case = Case::new(shops.of(number), format!("pot-{number}")).await;
                is_applied_or_refused(&case, &operation).await
            })
        },
    );
    shops.assert_whole();
}

mod texts_with_sql {
    #[test]
    fn some() {
        super::texts_are_no_statements(super::SOME);
    }

    #[test]
    #[ignore = "takes minutes"]
    fn all() {
        super::texts_are_no_statements(super::ALL);
    }
}

mod requests_to_a_database {
    #[test]
    fn some() {
        super::requests_are_applied_or_refused(super::SOME);
    }

    #[test]
    #[ignore = "takes minutes"]
    fn all() {
        super::requests_are_applied_or_refused(super::ALL);
    }
}

//! Checkouts through the storefront's inventory: its hook empties the cart at its version and writes the delivery, in
//! the sale's transaction.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use optilock::{
    Version,
    inventory::{
        Accepted, BatchOptions, BatchedInventory, BoxError, ErrorKind, Inventory, Line, Money,
        NewProduct, OnAccepted, PgInventory, Quantity, Sku, Stock,
    },
    sqlx::{self, PgConnection},
};
use storefront::{Address, App, Purchase, Settings, database::SCHEMA};
use tokio::sync::watch;

use super::{
    bench::Bench,
    comparison::{Candidate, Comparison},
    options::Options,
    table::Bars,
};

const BUYERS: u64 = 256;
const TITLE: &str = "256 buyers of one product of the storefront: checkouts";
const WITHOUT: &str = "without its hook";
const WITH: &str = "with cart and delivery";
const EMPTY: &str = "with a hook that does nothing";
const STALE: &str = "the same, every 20th cart is out of date";

/// What a hook costs that writes nothing: the sale is a transaction of several messages.
struct Nothing;

#[async_trait]
impl OnAccepted for Nothing {
    async fn on_accepted(&self, _: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        Ok(())
    }
}

/// The customers that buy at the moment are not in the list.
struct Customers {
    waiting: Mutex<Vec<(String, Version)>>,
    purchases: AtomicU64,
    address: Address,
}

impl Customers {
    /// Makes the carts.
    fn open(bench: &Bench, name: &str) -> Arc<Self> {
        let names = (0..BUYERS).map(|number| format!("{name}-{number}"));
        let waiting: Vec<_> = names.map(|name| (name, Version::FIRST)).collect();
        let names: Vec<&str> = waiting.iter().map(|(name, _)| name.as_str()).collect();
        let carts = sqlx::query(
            "INSERT INTO storefront.shop_carts (customer, items) SELECT c, '[]' FROM unnest($1::text[]) AS c",
        );
        let carts = carts.bind(names).execute(&bench.pool);
        bench.runtime.block_on(carts).expect("new carts");
        let address = serde_json::json!({
            "name": "Ana", "street": "Reforma 1", "city": "Oaxaca", "postal_code": "68000", "country": "MX"
        });
        Arc::new(Self {
            waiting: Mutex::new(waiting),
            purchases: AtomicU64::new(0),
            address: serde_json::from_value(address).expect("an address"),
        })
    }

    /// Buys one unit for the next customer; in one of `stale_one_in` purchases first with a version that the cart
    /// does not have.
    async fn buy(&self, inventory: &BatchedInventory, sku: &Sku, stale_one_in: Option<u64>) -> u64 {
        let (customer, version) = {
            let mut waiting = self.waiting.lock().expect("no buyer panics");
            waiting.pop().expect("as many customers as buyers")
        };
        let request = |version| {
            let purchase = Purchase {
                customer: customer.clone(),
                cart_version: version,
                idempotency_key: None,
                address: self.address.clone(),
            };
            let line = Line::new(sku.clone(), Quantity::ONE);
            purchase.request([line]).expect("a valid cart")
        };
        let number = self.purchases.fetch_add(1, Relaxed);
        let next = version.next().expect("few purchases");
        if stale_one_in.is_some_and(|every| number.is_multiple_of(every)) {
            let refused = inventory.checkout(request(next)).await;
            let refused = refused.expect_err("the cart has another version");
            assert_eq!(refused.kind(), ErrorKind::Hook, "{refused}");
        }
        let bought = inventory.checkout(request(version)).await;
        bought.expect("there is stock");
        let mut waiting = self.waiting.lock().expect("no buyer panics");
        waiting.push((customer, next));
        1
    }
}

pub(super) fn measure(bench: &Bench, options: &Options) -> Bars {
    let (_stop, stopped) = watch::channel(false);
    let shop = App::open(bench.pool.clone(), Settings::default(), stopped);
    let shop = bench.runtime.block_on(shop).expect("the storefront opens");
    let plain = PgInventory::new(bench.pool.clone()).in_schema(SCHEMA);
    let plain = plain.expect("the name of a schema");
    let empty = plain.clone().with_hook(Arc::new(Nothing));
    let empty = BatchedInventory::new(empty, BatchOptions::new());
    let plain = BatchedInventory::new(plain, BatchOptions::new());
    let candidates = [
        (WITHOUT, &plain, None),
        (EMPTY, &empty, None),
        (WITH, &shop.inventory, None),
        (STALE, &shop.inventory, Some(20)),
    ];
    let candidate = |(number, (name, inventory, stale)): (usize, (_, &BatchedInventory, _))| {
        let sku = Sku::new(format!("bench-{number}")).expect("a valid SKU");
        let price = Money::new(100, "MXN".parse().expect("a valid currency"));
        let new = NewProduct::new(sku.clone(), name, price.expect("a valid price"));
        let added = inventory.add_product(new.with_stock(Stock::MAX));
        bench.runtime.block_on(added).expect("a new product");
        let customers = Customers::open(bench, sku.as_str());
        let inventory = inventory.clone();
        Candidate::new(name, move |window| {
            let (customers, inventory) = (Arc::clone(&customers), inventory.clone());
            let sku = sku.clone();
            bench.turn(BUYERS, window, move || {
                let (customers, inventory) = (Arc::clone(&customers), inventory.clone());
                let sku = sku.clone();
                async move { customers.buy(&inventory, &sku, stale).await }
            })
        })
    };
    let candidates = candidates.into_iter().enumerate().map(candidate);
    let comparison = Comparison::measure(options, TITLE, candidates.collect());
    bench.runtime.block_on(async {
        for inventory in [&plain, &empty, &shop.inventory] {
            let shutdown = inventory.shutdown(Duration::from_secs(30)).await;
            shutdown.expect("every request has its answer");
        }
        let audit = plain.audit().await.expect("the audit completes");
        assert!(audit.is_clean(), "{audit}");
    });
    let mut bars = Bars::new(TITLE);
    bars.ratio(&comparison, EMPTY, WITHOUT, None);
    bars.ratio(&comparison, WITH, WITHOUT, Some(0.7));
    bars.ratio(&comparison, STALE, WITHOUT, Some(0.5));
    bars
}

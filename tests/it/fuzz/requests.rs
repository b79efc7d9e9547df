//! Every operation of an inventory with generated texts, durations and pages: what is refused changes nothing.

use std::time::Duration;

use optilock::{
    Version,
    inventory::{
        Checkout, Error, Inventory, MemoryInventory, OrderFilter, OrderId, OrderStep, Page,
        ReservationId, Reserve,
    },
};
use proptest::{
    option, prelude::Just, prop_assert, prop_oneof, strategy::Strategy, test_runner::TestCaseError,
};
use tokio::runtime::{Builder, Runtime};

use super::{
    builders::is_text,
    clear::is_invalid,
    numbers::{durations, numbers},
    texts::near,
};
use crate::support::goods::{add, cart, new_product, sku, stock, units};

/// An operation, and the input that it may refuse.
#[derive(Clone, Debug)]
pub enum Operation {
    AddProduct {
        name: String,
    },
    UpdateProduct {
        name: String,
    },
    CountStock {
        counted: i64,
        reason: String,
    },
    Checkout {
        customer: Option<String>,
        key: Option<String>,
    },
    Reserve {
        customer: Option<String>,
        key: Option<String>,
        duration: Duration,
    },
    Extend {
        by: Duration,
    },
    Cancel {
        reason: String,
    },
    Orders {
        customer: String,
        limit: u32,
    },
    Products {
        limit: u32,
    },
    Movements {
        after: i64,
        limit: u32,
    },
    CleanUpOrders {
        older_than: Duration,
    },
    CleanUpKeys {
        older_than: Duration,
    },
    Report {
        window: Duration,
    },
}

pub fn operations() -> impl Strategy<Value = Operation> {
    use Operation::{
        AddProduct, CleanUpKeys, CleanUpOrders, CountStock, Extend, Movements, Orders, Products,
        Report, UpdateProduct,
    };
    let text = || near("[a-zé' ]{1,500}");
    let maybe = move || option::of(text());
    let limit = || numbers().prop_map(|it| u32::try_from(it.unsigned_abs()).unwrap_or(u32::MAX));
    let held = prop_oneof![durations(), Just(Reserve::DEFAULT_DURATION)];
    prop_oneof![
        text().prop_map(|name| AddProduct { name }),
        text().prop_map(|name| UpdateProduct { name }),
        (0..9_i64, text()).prop_map(|(counted, reason)| CountStock { counted, reason }),
        (maybe(), maybe()).prop_map(|(customer, key)| Operation::Checkout { customer, key }),
        (maybe(), maybe(), held).prop_map(|(customer, key, duration)| {
            Operation::Reserve {
                customer,
                key,
                duration,
            }
        }),
        durations().prop_map(|by| Extend { by }),
        text().prop_map(|reason| Operation::Cancel { reason }),
        (text(), limit()).prop_map(|(customer, limit)| Orders { customer, limit }),
        limit().prop_map(|limit| Products { limit }),
        (1..=i64::MAX, limit()).prop_map(|(after, limit)| Movements { after, limit }),
        durations().prop_map(|older_than| CleanUpOrders { older_than }),
        durations().prop_map(|older_than| CleanUpKeys { older_than }),
        durations().prop_map(|window| Report { window }),
    ]
}

/// A shop with a product, an order and a reservation.
pub struct Case<'a> {
    pub shop: &'a dyn Inventory,
    pub product: String,
    pub order: OrderId,
    pub reservation: ReservationId,
}

impl<'a> Case<'a> {
    pub async fn new(shop: &'a dyn Inventory, product: String) -> Self {
        add(shop, &product, 100).await;
        let order = shop.checkout(cart(&[(&product, 1)])).await.unwrap().id;
        let reserve = Reserve::new([(sku(&product), units(1))]).unwrap();
        let reservation = shop.reserve(reserve).await.unwrap().id;
        Self {
            shop,
            product,
            order,
            reservation,
        }
    }

    /// Returns what is stored of the case.
    pub async fn stored(&self) -> String {
        let product = sku(&self.product);
        format!(
            "{:?} {:?} {:?} {:?}",
            self.shop.product(&product).await.unwrap(),
            self.shop.order(self.order).await.unwrap(),
            self.shop.reservation(self.reservation).await.unwrap(),
            self.shop
                .movements(&product, Page::first(100))
                .await
                .unwrap(),
        )
    }

    pub async fn apply(&self, operation: &Operation) -> Result<(), Error> {
        let (shop, name) = (self.shop, &*self.product);
        match operation.clone() {
            Operation::AddProduct { name: title } => {
                let new = new_product(&format!("{name}-2"), 1);
                let new =
                    optilock::inventory::NewProduct::new(new.sku().clone(), title, new.price());
                shop.add_product(new).await.map(drop)
            }
            Operation::UpdateProduct { name: title } => {
                let mut product = shop.product(&sku(name)).await?;
                product.name = title;
                shop.update_product(&product).await.map(drop)
            }
            Operation::CountStock { counted, reason } => {
                let product = shop.product(&sku(name)).await?;
                let (version, counted) = (product.version, stock(1 + counted));
                let counted = shop.count_stock(&product.sku, version, counted, &reason);
                counted.await.map(drop)
            }
            Operation::Checkout { customer, key } => {
                shop.checkout(checkout(name, customer, key)).await.map(drop)
            }
            Operation::Reserve {
                customer,
                key,
                duration,
            } => {
                let mut request = Reserve::new([(sku(name), units(1))])?.for_duration(duration);
                if let Some(customer) = customer {
                    request = request.with_customer(customer);
                }
                if let Some(key) = key {
                    request = request.with_idempotency_key(key);
                }
                shop.reserve(request).await.map(drop)
            }
            Operation::Extend { by } => shop.extend(self.reservation, by).await.map(drop),
            Operation::Cancel { reason } => {
                let step = OrderStep::cancel(self.order, reason);
                shop.step(step).await.map(drop)
            }
            Operation::Orders { customer, limit } => {
                let filter = OrderFilter::all().with_customer(customer);
                shop.orders(filter, Page::first(limit)).await.map(drop)
            }
            Operation::Products { limit } => shop.products(Page::first(limit)).await.map(drop),
            Operation::Movements { after, limit } => {
                let page = Page::after(Version::new(after).unwrap(), limit);
                shop.movements(&sku(name), page).await.map(drop)
            }
            Operation::CleanUpOrders { older_than } => {
                shop.cleanup_failed_orders(older_than).await.map(drop)
            }
            Operation::CleanUpKeys { older_than } => {
                shop.cleanup_idempotency_keys(older_than).await.map(drop)
            }
            Operation::Report { window } => shop.report(window).await.map(drop),
        }
    }
}

fn checkout(name: &str, customer: Option<String>, key: Option<String>) -> Checkout {
    let mut request = cart(&[(name, 1)]);
    if let Some(customer) = customer {
        request = request.with_customer(customer);
    }
    if let Some(key) = key {
        request = request.with_idempotency_key(key);
    }
    request
}

/// Returns whether the documentation admits the input, and its texts.
fn expected(operation: &Operation) -> (bool, String) {
    let maybe = |text: &Option<String>| text.as_deref().is_none_or(is_text);
    let held =
        |duration: &Duration| (Duration::from_micros(1)..=Reserve::MAX_DURATION).contains(duration);
    match operation {
        Operation::AddProduct { name } | Operation::UpdateProduct { name } => {
            (is_text(name), name.clone())
        }
        Operation::CountStock { reason, .. } | Operation::Cancel { reason } => {
            (is_text(reason), reason.clone())
        }
        Operation::Checkout { customer, key } => (
            maybe(customer) && maybe(key),
            format!("{customer:?}{key:?}"),
        ),
        Operation::Reserve {
            customer,
            key,
            duration,
        } => {
            let valid = maybe(customer) && maybe(key) && held(duration);
            (valid, format!("{customer:?}{key:?}"))
        }
        Operation::Extend { by } => (held(by), String::new()),
        Operation::Orders { customer, .. } => (true, customer.clone()),
        Operation::Products { .. }
        | Operation::Movements { .. }
        | Operation::CleanUpOrders { .. }
        | Operation::CleanUpKeys { .. }
        | Operation::Report { .. } => (true, String::new()),
    }
}

/// Applies the operation. What the documentation does not admit is refused as invalid, and changes nothing.
pub async fn is_applied_or_refused(
    case: &Case<'_>,
    operation: &Operation,
) -> Result<(), TestCaseError> {
    let (valid, input) = expected(operation);
    let before = case.stored().await;
    match case.apply(operation).await {
        Ok(()) => prop_assert!(valid, "{:?} is accepted", operation),
        Err(refused) => {
            prop_assert!(!valid, "{:?} is refused: {}", operation, refused);
            is_invalid(refused, &input)?;
            prop_assert!(
                case.stored().await == before,
                "{:?} changes rows",
                operation
            );
        }
    }
    Ok(())
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn in_memory(runtime: &Runtime, operation: &Operation) -> Result<(), TestCaseError> {
    runtime.block_on(async {
        let shop = MemoryInventory::new();
        let case = Case::new(&shop, "pot".to_owned()).await;
        is_applied_or_refused(&case, operation).await
    })
}

fuzz! {
    requests: operations() => {
        let runtime = runtime();
        move |operation| in_memory(&runtime, &operation)
    };
}

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound, Utc};
use uuid::Uuid;

use super::{
    Adjustment, Checkout, Cleanup, Error, Inventory, NewProduct, Order, OrderId, OrderLine,
    OrderStatus, Page, Product, Quantity, Shortage, Sku, Stock, checkout::Facts,
    product::check_text,
};
use crate::{Conflict, Version, Versioned};

/// An [`Inventory`] in memory, with the same answers as [`PgInventory`](super::PgInventory).
///
/// For tests and demonstrations of host applications: it lives and dies with the process. One lock
/// guards it, so operations never conflict.
#[derive(Debug, Default)]
pub struct MemoryInventory {
    shop: Mutex<Shop>,
}

#[derive(Debug, Default)]
struct Shop {
    products: BTreeMap<Sku, Shelf>,
    orders: BTreeMap<OrderId, Order>,
    adjustments: BTreeMap<Uuid, (Sku, i64)>,
}

#[derive(Debug)]
struct Shelf {
    product: Product,
    retired: bool,
}

impl MemoryInventory {
    /// An empty inventory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn shop(&self) -> MutexGuard<'_, Shop> {
        // Every change is checked before the first write, so a panic leaves nothing half done.
        self.shop.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shop {
    fn find(&self, sku: &Sku) -> Result<&Product, Error> {
        match self.products.get(sku) {
            Some(shelf) if !shelf.retired => Ok(&shelf.product),
            _ => Err(Error::no_product(sku)),
        }
    }

    /// Puts a changed product in its place, one version on.
    fn put(&mut self, mut product: Product, retired: bool) -> Result<Product, Error> {
        product.version = next(product.version)?;
        product.updated_at = now();
        self.products.insert(
            product.sku.clone(),
            Shelf {
                product: product.clone(),
                retired,
            },
        );
        Ok(product)
    }
}

/// To the microsecond, as PostgreSQL keeps it.
fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(6)
}

fn next(version: Version) -> Result<Version, Error> {
    version.next().ok_or_else(|| {
        Error::invalid(
            "request",
            "takes a total, a stock or a version beyond the largest number",
        )
    })
}

fn unmoved(product: &Product, expected: Version) -> Result<(), Error> {
    if product.version == expected {
        Ok(())
    } else {
        Err(Error::conflict(&product.sku, expected, product.version))
    }
}

#[async_trait]
impl Inventory for MemoryInventory {
    async fn add_product(&self, new: NewProduct) -> Result<Product, Error> {
        check_text("name", &new.name)?;
        let mut shop = self.shop();
        let mut product = Product::new(new.sku, new.name, new.price);
        product.stock = new.stock;
        match shop.products.get(&product.sku) {
            None => {
                product.created_at = now();
                product.updated_at = product.created_at;
                let shelf = Shelf {
                    product: product.clone(),
                    retired: false,
                };
                shop.products.insert(product.sku.clone(), shelf);
                Ok(product)
            }
            Some(shelf) if shelf.retired => {
                let old = &shelf.product;
                if old.reserved > product.stock {
                    let (counted, reserved) = (product.stock.get(), old.reserved.get());
                    return Err(Error::StockHeld {
                        sku: product.sku,
                        counted,
                        reserved,
                    });
                }
                product.reserved = old.reserved;
                product.version = old.version;
                product.revision = next(old.revision)?;
                product.created_at = old.created_at;
                shop.put(product, false)
            }
            Some(_) => Err(Error::AlreadyExists {
                entity: Product::ENTITY,
                id: product.sku.to_string(),
            }),
        }
    }

    async fn product(&self, sku: &Sku) -> Result<Product, Error> {
        self.shop().find(sku).cloned()
    }

    async fn products(&self, page: Page<Sku>) -> Result<Vec<Product>, Error> {
        let shop = self.shop();
        let from = page
            .after
            .as_ref()
            .map_or(Bound::Unbounded, Bound::Excluded);
        let sold = shop
            .products
            .range((from, Bound::Unbounded))
            .filter(|(_, shelf)| !shelf.retired);
        Ok(sold
            .take(page.limit() as usize)
            .map(|(_, shelf)| shelf.product.clone())
            .collect())
    }

    async fn products_of(&self, skus: &[Sku]) -> Result<Vec<Product>, Error> {
        let shop = self.shop();
        let mut found: Vec<Product> = skus
            .iter()
            .filter_map(|sku| shop.find(sku).ok().cloned())
            .collect();
        found.sort_by(|a, b| a.sku.cmp(&b.sku));
        found.dedup_by(|a, b| a.sku == b.sku);
        Ok(found)
    }

    async fn product_at(&self, sku: &Sku, expected: Version) -> Result<Product, Error> {
        let shop = self.shop();
        let product = shop.find(sku)?;
        unmoved(product, expected)?;
        Ok(product.clone())
    }

    async fn update_product(&self, changed: &Product) -> Result<Product, Error> {
        check_text("name", &changed.name)?;
        let mut shop = self.shop();
        let mut product = shop.find(&changed.sku)?.clone();
        if product.revision != changed.revision {
            let sku = product.sku.as_str();
            return Err(
                Conflict::new("catalogue entry", sku, changed.revision, product.revision).into(),
            );
        }
        product.name.clone_from(&changed.name);
        product.price = changed.price;
        product.revision = next(product.revision)?;
        shop.put(product, false)
    }

    async fn retire_product(&self, sku: &Sku, expected: Version) -> Result<(), Error> {
        let mut shop = self.shop();
        let product = shop.find(sku)?.clone();
        unmoved(&product, expected)?;
        shop.put(product, true).map(drop)
    }

    async fn adjust_stock(&self, adjustment: Adjustment) -> Result<Product, Error> {
        let Adjustment { id, sku, delta, .. } = adjustment;
        let mut shop = self.shop();
        let mut product = shop.find(&sku)?.clone();
        if let Some((made_of, made)) = shop.adjustments.get(&id) {
            return if *made_of == sku && *made == delta {
                Ok(product)
            } else {
                Err(Error::IdempotencyMismatch {
                    entity: "adjustment",
                    id: id.to_string(),
                })
            };
        }
        if product.available() + delta < 0 {
            let requested = Quantity::new(-delta).unwrap_or(Quantity::MAX);
            return Err(Error::InsufficientStock(vec![Shortage::new(
                sku,
                requested,
                product.available(),
            )]));
        }
        product.stock = Stock::new(product.stock.get() + delta).map_err(|_| {
            Error::invalid(
                "adjustment",
                format!("takes the stock of {sku} beyond {}", Stock::MAX),
            )
        })?;
        let product = shop.put(product, false)?;
        shop.adjustments.insert(id, (sku, delta));
        Ok(product)
    }

    async fn count_stock(
        &self,
        sku: &Sku,
        expected: Version,
        counted: Stock,
        reason: &str,
    ) -> Result<Product, Error> {
        check_text("reason", reason)?;
        let mut shop = self.shop();
        let mut product = shop.find(sku)?.clone();
        unmoved(&product, expected)?;
        if product.reserved > counted {
            let (counted, reserved) = (counted.get(), product.reserved.get());
            return Err(Error::StockHeld {
                sku: product.sku,
                counted,
                reserved,
            });
        }
        product.stock = counted;
        shop.put(product, false)
    }

    async fn checkout(&self, request: Checkout) -> Result<Order, Error> {
        request.check()?;
        let mut shop = self.shop();
        if let Some(stored) = shop.orders.get(&request.id) {
            return request.replay(stored.clone());
        }
        let found: Vec<Option<Product>> = request
            .lines
            .iter()
            .map(|line| shop.find(&line.sku).ok().cloned())
            .collect();
        let facts: Vec<Option<Facts>> = found
            .iter()
            .map(|product| product.as_ref().map(Facts::from))
            .collect();
        request.judge(&facts)?;
        let mut lines = Vec::with_capacity(found.len());
        let mut sold = Vec::with_capacity(found.len());
        for (line, mut product) in request.lines.iter().zip(found.into_iter().flatten()) {
            lines.push(OrderLine::new(
                line.sku.clone(),
                line.quantity,
                product.price,
            ));
            product.stock = Stock::new(product.stock.get() - line.quantity.get())?;
            next(product.version)?;
            sold.push(product);
        }
        let mut order = Order::new(request.id, lines, now()).ok_or_else(Error::total_too_large)?;
        order.customer = request.customer;
        for product in sold {
            shop.put(product, false)?;
        }
        shop.orders.insert(order.id, order.clone());
        Ok(order)
    }

    async fn order(&self, id: OrderId) -> Result<Order, Error> {
        let order = self.shop().orders.get(&id).cloned();
        order.ok_or_else(|| Error::NotFound {
            entity: Order::ENTITY,
            id: id.to_string(),
        })
    }

    async fn cleanup_failed_orders(&self, older_than: Duration) -> Result<Cleanup, Error> {
        let mut guard = self.shop();
        let shop = &mut *guard;
        let now = now();
        let mut done = Cleanup::default();
        let unpaid = |order: &&mut Order| {
            let open = matches!(
                order.status,
                OrderStatus::PendingPayment | OrderStatus::PaymentFailed
            );
            let age = (now - order.created_at).to_std().unwrap_or_default();
            open && (age > older_than || older_than.is_zero())
        };
        for order in shop.orders.values_mut().filter(unpaid) {
            for line in &order.lines {
                let Some(shelf) = shop.products.get_mut(&line.sku) else {
                    continue;
                };
                let product = &mut shelf.product;
                product.stock = Stock::new(product.stock.get() + line.quantity.get())?;
                product.version = next(product.version)?;
                product.updated_at = now;
                done.units += line.quantity.get().unsigned_abs();
            }
            order.status = OrderStatus::Cancelled;
            order.version = next(order.version)?;
            done.orders += 1;
        }
        Ok(done)
    }
}

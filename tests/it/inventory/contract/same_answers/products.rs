//! Operations on products.

use optilock::inventory::{Adjustment, NewProduct, Page, Product};
use proptest::{prop_oneof, strategy::Strategy};

use super::case::{Case, text, version};
use crate::support::goods::{pesos, stock};

#[derive(Clone, Debug)]
pub enum ProductOperation {
    Add {
        product: u8,
        units: u8,
    },
    Edit {
        product: u8,
        revision: u8,
        price: u8,
    },
    Retire {
        product: u8,
        version: u8,
    },
    Pause {
        product: u8,
    },
    Resume {
        product: u8,
    },
    Adjust {
        product: u8,
        id: u8,
        delta: i8,
    },
    Count {
        product: u8,
        version: u8,
        units: u8,
    },
    Read {
        product: u8,
        version: u8,
    },
    Movements {
        product: u8,
    },
}

use ProductOperation::{Add, Adjust, Count, Edit, Movements, Pause, Read, Resume, Retire};

pub fn operations() -> impl Strategy<Value = ProductOperation> {
    let (product, version) = (0_u8..3, 1_u8..8);
    prop_oneof![
        3 => (product.clone(), 0_u8..12).prop_map(|(product, units)| Add { product, units }),
        1 => (product.clone(), 1_u8..4, 1_u8..3)
            .prop_map(|(product, revision, price)| Edit { product, revision, price }),
        1 => (product.clone(), version.clone())
            .prop_map(|(product, version)| Retire { product, version }),
        1 => product.clone().prop_map(|product| Pause { product }),
        2 => product.clone().prop_map(|product| Resume { product }),
        2 => (product.clone(), 0_u8..4, -6_i8..6)
            .prop_map(|(product, id, delta)| Adjust { product, id, delta }),
        1 => (product.clone(), version.clone(), 0_u8..9)
            .prop_map(|(product, version, units)| Count { product, version, units }),
        1 => (product.clone(), version).prop_map(|(product, version)| Read { product, version }),
        1 => product.prop_map(|product| Movements { product }),
    ]
}

fn show(product: Product) -> String {
    let Product {
        sku,
        name,
        price,
        stock,
        reserved,
        version,
        revision,
        paused,
        ..
    } = product;
    format!("{sku} {name} {price} {stock} {reserved} {version} {revision} {paused}")
}

async fn movements(case: &Case<'_>, product: u8) -> String {
    let sku = case.sku(product);
    let movements = case.shop.movements(&sku, Page::first(100));
    text(movements.await, |movements| {
        let movements = movements.iter().map(|movement| {
            let (kind, delta, after) = (movement.kind, movement.delta, movement.stock_after);
            format!(
                "{} {kind} {delta} {after} {:?} {:?}",
                movement.version, movement.order, movement.reason
            )
        });
        movements.collect::<Vec<_>>().join("; ")
    })
}

pub async fn apply(case: &Case<'_>, operation: &ProductOperation) -> String {
    let shop = case.shop;
    match *operation {
        Add { product, units } => {
            let new = NewProduct::new(case.sku(product), "Pot", pesos(1));
            let new = new.with_stock(stock(units.into()));
            text(shop.add_product(new).await, show)
        }
        Edit {
            product,
            revision,
            price,
        } => {
            let mut changed = Product::new(case.sku(product), "Pot", pesos(price.into()));
            changed.revision = version(revision);
            text(shop.update_product(&changed).await, show)
        }
        Retire {
            product,
            version: at,
        } => {
            let sku = case.sku(product);
            let retired = shop.retire_product(&sku, version(at));
            text(retired.await, |()| String::new())
        }
        Pause { product } => text(shop.pause(&case.sku(product)).await, show),
        Resume { product } => text(shop.resume(&case.sku(product)).await, show),
        Adjust { product, id, delta } => {
            match Adjustment::new(case.sku(product), delta.into(), "delivery") {
                Ok(adjustment) => {
                    let adjustment = adjustment.with_id(case.id(id));
                    text(shop.adjust_stock(adjustment).await, show)
                }
                Err(error) => error.to_string(),
            }
        }
        Count {
            product,
            version: at,
            units,
        } => {
            let counted = stock(units.into());
            let sku = case.sku(product);
            let product = shop.count_stock(&sku, version(at), counted, "day");
            text(product.await, show)
        }
        Read {
            product,
            version: at,
        } => {
            let earlier = text(shop.product_at(&case.sku(product), version(at)).await, show);
            earlier + &text(shop.product(&case.sku(product)).await, show)
        }
        Movements { product } => movements(case, product).await,
    }
}

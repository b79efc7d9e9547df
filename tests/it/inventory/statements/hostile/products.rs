//! Operations on products.

use std::time::Duration;

use optilock::{
    Version,
    inventory::{Adjustment, Inventory, Page},
};

use super::{
    failures::Failures,
    trial::{Trial, note},
};
use crate::support::goods::{new_product, sku, stock};

/// Runs them with a conflict and a refusal each where they have one.
pub async fn run(trial: &Trial<'_>, failures: &mut Failures) {
    note! { trial, failures;
        "add": trial.shop.add_product(new_product(&trial.name("new"), 5));
        "add again": trial.shop.add_product(new_product(&trial.name("new"), 5));
        "add a retired one": trial.shop.add_product(new_product(&trial.retired, 5));
        "product": trial.shop.product(&sku(&trial.one));
        "products": trial.shop.products(Page::first(5));
        "products after": trial.shop.products(Page::after(sku(&trial.one), 5));
        "products of": trial.shop.products_of(&[sku(&trial.one), sku(&trial.two)]);
        "product at": trial.shop.product_at(&sku(&trial.one), Version::FIRST);
        "edit": trial.shop.update_product(&trial.direct.product(&sku(&trial.one)).await.unwrap());
        "pause": trial.shop.pause(&sku(&trial.one));
        "pause again": trial.shop.pause(&sku(&trial.one));
        "checkout of a paused one": trial.shop.checkout(trial.single());
        "resume": trial.shop.resume(&sku(&trial.one));
        "adjust": trial.shop.adjust_stock(Adjustment::new(sku(&trial.one), 1, "x").unwrap());
        "adjust by too much": trial.shop.adjust_stock(Adjustment::new(sku(&trial.one), -5_000, "x").unwrap());
        "count": trial.shop.count_stock(&sku(&trial.two), trial.version(&trial.two).await, stock(990), "x");
        "count at another version": trial.shop.count_stock(&sku(&trial.two), Version::FIRST, stock(990), "x");
        "retire": trial.shop.retire_product(&sku(&trial.name("new")), trial.version(&trial.name("new")).await);
        "movements": trial.shop.movements(&sku(&trial.one), Page::first(5));
        "report": trial.shop.report(Duration::from_secs(60));
        "audit": trial.shop.audit();
    }
}

//! What a pause stops and what it does not stop, for any inventory.

use optilock::{
    Version,
    inventory::{
        Adjustment, Error, ErrorKind, Inventory, Money, Movement, MovementKind, Page, Product,
        Reserve, ReturnRequest,
    },
};

use crate::support::goods::{add, cart, new_product, sku, stock, units};

/// Returns true if the error is the refusal for a pause of this product.
pub fn is_paused(error: &Error, name: &str) -> bool {
    error.kind() == ErrorKind::ProductPaused && error.sku() == Some(&sku(name))
}

async fn movements(shop: &dyn Inventory, name: &str) -> Vec<Movement> {
    shop.movements(&sku(name), Page::first(100)).await.unwrap()
}

/// Pauses and resumes a product. All other changes of a paused product succeed.
pub async fn pause_and_resume(shop: &dyn Inventory) {
    let pot = sku("pause");
    for missing in [shop.pause(&pot).await, shop.resume(&pot).await] {
        assert!(missing.unwrap_err().is_not_found());
    }
    let added = add(shop, "pause", 20).await;
    assert!(!added.paused);
    let paid = shop.checkout(cart(&[("pause", 2)])).await.unwrap();
    shop.mark_paid(paid.id).await.unwrap();
    let unpaid = shop.checkout(cart(&[("pause", 1)])).await.unwrap();
    let held = Reserve::new([(pot.clone(), units(1))]).unwrap();
    let held = shop.reserve(held).await.unwrap();

    // A resume of a product on sale changes nothing.
    let before = shop.product(&pot).await.unwrap();
    assert_eq!(shop.resume(&pot).await.unwrap(), before);
    let paused = shop.pause(&pot).await.unwrap();
    assert_eq!(
        (paused.paused, Some(paused.version)),
        (true, before.version.next())
    );
    assert_eq!(
        (paused.stock, paused.reserved, paused.revision),
        (before.stock, before.reserved, before.revision)
    );
    assert!(paused.updated_at >= before.updated_at);
    assert_eq!(
        shop.pause(&pot).await.unwrap(),
        paused,
        "a second pause changes nothing"
    );
    assert_eq!(shop.product(&pot).await.unwrap(), paused);
    let listed = shop.products_of(std::slice::from_ref(&pot)).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&paused));

    let mut edited = paused.clone();
    edited.name = "Another name".to_owned();
    assert!(shop.update_product(&edited).await.unwrap().paused);
    let delivery = Adjustment::new(pot.clone(), 3, "delivery").unwrap();
    assert!(shop.adjust_stock(delivery).await.unwrap().paused);
    shop.cancel(unpaid.id, "changed my mind").await.unwrap();
    let back = ReturnRequest::new(paid.id, [(pot.clone(), units(1))], "chipped").unwrap();
    shop.return_items(back).await.unwrap();
    shop.release(held.id).await.unwrap();
    let now = shop.product(&pot).await.unwrap();
    let counted = shop.count_stock(&pot, now.version, stock(9), "counted");
    let counted = counted.await.unwrap();
    assert!(counted.paused);

    let resumed = shop.resume(&pot).await.unwrap();
    assert_eq!(
        (resumed.paused, resumed.stock, Some(resumed.version)),
        (false, stock(9), counted.version.next())
    );
    assert_eq!(shop.resume(&pot).await.unwrap(), resumed);
    shop.checkout(cart(&[("pause", 1)])).await.unwrap();
    assert_movements(shop, &paused, &resumed).await;
    retire_while_paused(shop, paused.price).await;
}

/// Asserts that the pause and the resume have one movement each.
async fn assert_movements(shop: &dyn Inventory, paused: &Product, resumed: &Product) {
    let kinds = [MovementKind::Paused, MovementKind::Resumed];
    let moved: Vec<_> = movements(shop, "pause")
        .await
        .into_iter()
        .filter(|movement| kinds.contains(&movement.kind))
        .map(|movement| (movement.kind, movement.version, movement.delta))
        .collect();
    assert_eq!(
        moved,
        [
            (kinds[0], paused.version, 0),
            (kinds[1], resumed.version, 0)
        ]
    );
}

/// A product that is retired while paused is on sale when it is added again.
async fn retire_while_paused(shop: &dyn Inventory, price: Money) {
    let pot = sku("pause");
    let paused = shop.pause(&pot).await.unwrap();
    shop.retire_product(&pot, paused.version).await.unwrap();
    for retired in [shop.pause(&pot).await, shop.resume(&pot).await] {
        assert!(retired.unwrap_err().is_not_found());
    }
    let again = shop.add_product(new_product("pause", 1)).await.unwrap();
    assert_eq!((again.paused, again.price), (false, price));
    shop.checkout(cart(&[("pause", 1)])).await.unwrap();
}

/// Asserts that each operation that takes stock is refused for the pause, before any other reason.
pub async fn refuse_sales(shop: &dyn Inventory) {
    add(shop, "stopped", 5).await;
    add(shop, "other", 5).await;
    let cancelled = shop.checkout(cart(&[("stopped", 1)])).await.unwrap();
    shop.cancel(cancelled.id, "changed my mind").await.unwrap();
    let paused = shop.pause(&sku("stopped")).await.unwrap();
    for lines in [
        &[("stopped", 1)][..],
        &[("stopped", 50)],
        &[("other", 1), ("stopped", 1)],
    ] {
        let refused = shop.checkout(cart(lines)).await.unwrap_err();
        assert!(is_paused(&refused, "stopped"), "{lines:?}: {refused:?}");
        assert_eq!(refused.to_string(), "the sale of stopped is paused");
        assert_eq!(
            (refused.code(), refused.http_status()),
            ("product-paused", 409)
        );
        let lines = lines.iter().map(|(name, count)| (sku(name), units(*count)));
        let refused = shop.reserve(Reserve::new(lines).unwrap()).await;
        let refused = refused.unwrap_err();
        assert!(is_paused(&refused, "stopped"), "{refused:?}");
    }
    let refused = shop.revive(cancelled.id).await.unwrap_err();
    assert!(is_paused(&refused, "stopped"), "{refused:?}");
    assert_eq!(shop.product(&sku("stopped")).await.unwrap(), paused);
    assert_eq!(
        shop.product(&sku("other")).await.unwrap().version,
        Version::FIRST
    );
    shop.resume(&sku("stopped")).await.unwrap();
    shop.revive(cancelled.id).await.unwrap();
    shop.checkout(cart(&[("other", 1), ("stopped", 1)]))
        .await
        .unwrap();
}

/// Asserts that units reserved before the pause can be bought, and no others.
pub async fn buy_reserved_units(shop: &dyn Inventory) {
    add(shop, "promised", 9).await;
    let lines = || [(sku("promised"), units(2))];
    let held = shop.reserve(Reserve::new(lines()).unwrap()).await.unwrap();
    shop.pause(&sku("promised")).await.unwrap();
    let more = cart(&[("promised", 3)]).with_reservation(held.id);
    let refused = shop.checkout(more).await.unwrap_err();
    assert!(is_paused(&refused, "promised"), "{refused:?}");
    let some = cart(&[("promised", 1)]).with_reservation(held.id);
    shop.checkout(some).await.unwrap();
    let rest = cart(&[("promised", 1)]).with_reservation(held.id);
    shop.checkout(rest).await.unwrap();
    let product = shop.product(&sku("promised")).await.unwrap();
    assert_eq!((product.stock, product.reserved), (stock(7), stock(0)));
    assert!(product.paused);
}

/// Asserts all rules.
pub async fn fulfil(shop: &dyn Inventory) {
    pause_and_resume(shop).await;
    refuse_sales(shop).await;
    buy_reserved_units(shop).await;
}

//! A checkout that the hook refuses.

use std::sync::atomic::Ordering::Relaxed;

use optilock::{
    inventory::{BoxError, Error, ErrorKind, Inventory, OrderId},
    sqlx,
};

use super::outbox::{row, rows, shop};
use crate::{
    support::db::assert_balanced,
    support::goods::{add, cart, stock_of},
    support::strategies::STRATEGIES,
};

#[tokio::test]
async fn a_checkout_that_the_hook_refuses_is_not_stored() {
    for strategy in STRATEGIES {
        let (db, shop, outbox) = shop(strategy).await;
        add(&shop, "pot", 10).await;
        outbox.refusals.store(1, Relaxed);
        let request = cart(&[("pot", 3)]);
        let refused = shop.checkout(request.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Hook, "{refused:?}");
        assert_eq!(
            refused.to_string(),
            format!("the hook failed for order {}", request.order_id())
        );
        assert_eq!((refused.http_status(), refused.code()), (500, "hook"));
        let source = std::error::Error::source(&refused).unwrap().to_string();
        assert_eq!(source, "the customer is barred");
        assert_eq!(
            (stock_of(&shop, "pot").await, rows(&db.pool).await),
            (10, vec![])
        );
        assert!(
            shop.order(request.order_id())
                .await
                .unwrap_err()
                .is_not_found()
        );
        // A conflict inside the hook repeats the checkout.
        outbox.conflicts.store(1, Relaxed);
        shop.checkout(request).await.unwrap();
        assert_eq!(
            rows(&db.pool).await,
            [row("pot", 3, 2, 7, 0)],
            "{strategy:?}"
        );
        assert_eq!(outbox.calls.load(Relaxed), 3);
        assert_balanced(&db.pool).await;
    }
}

#[test]
fn an_error_of_the_hook_has_the_class_of_its_source() {
    let hook = |source: BoxError| Error::hook(OrderId::new(), source);
    let busy = hook(sqlx::Error::PoolTimedOut.into());
    assert!(busy.is_busy() && !busy.is_conflict() && busy.http_status() == 503);
    let version = optilock::Version::FIRST;
    let lost = hook(optilock::Conflict::new("account", 7, version, version).into());
    assert!(lost.is_conflict() && lost.http_status() == 409);
    assert_eq!(hook("barred".into()).http_status(), 500);
}

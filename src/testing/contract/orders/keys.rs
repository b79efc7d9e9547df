//! Idempotency keys of checkouts.

use std::time::Duration;

use crate::inventory::{Adjustment, ErrorKind, Inventory};

use crate::testing::contract::goods::{add, cart, sku};

/// Asserts all rules of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    an_idempotency_key_names_one_order_of_its_customer(shop).await;
    a_refused_checkout_leaves_its_key_free(shop).await;
    an_invalid_key_is_refused(shop).await;
}

async fn an_idempotency_key_names_one_order_of_its_customer(shop: &dyn Inventory) {
    add(shop, "keyed", 3).await;
    add(shop, "keyed-too", 3).await;
    for lines in [vec![("keyed", 1)], vec![("keyed", 1), ("keyed-too", 1)]] {
        let key = format!("key of {} lines", lines.len());
        let request = || {
            cart(&lines)
                .with_customer("ana")
                .with_idempotency_key(key.clone())
        };
        let order = shop.checkout(request()).await.unwrap();
        let again = shop.checkout(request()).await.unwrap();
        assert!(again.replayed && again.id == order.id);
        let mismatch = shop.checkout(
            cart(&[("keyed-too", 2)])
                .with_customer("ana")
                .with_idempotency_key(key.clone()),
        );
        match mismatch.await {
            Err(error) if error.kind() == ErrorKind::IdempotencyMismatch => {
                let facts = (error.entity(), error.id());
                assert_eq!(facts, (Some("idempotency key"), Some(&*key)));
            }
            other => panic!("{other:?}"),
        }
        // The same key of another customer, or of none, is another key.
        let others = [
            cart(&[("keyed-too", 1)]).with_customer("benito"),
            cart(&[("keyed-too", 1)]),
        ];
        for other in others {
            let answer = shop.checkout(other.with_idempotency_key(key.clone())).await;
            let other = answer.unwrap();
            assert!(!other.replayed && other.id != order.id);
            shop.cancel(other.id, "test").await.unwrap();
        }
    }
}

/// The refused checkout succeeds under the same key after a delivery.
async fn a_refused_checkout_leaves_its_key_free(shop: &dyn Inventory) {
    add(shop, "keyed-refused", 1).await;
    let request = || cart(&[("keyed-refused", 2)]).with_idempotency_key("refused");
    assert!(
        shop.checkout(request())
            .await
            .unwrap_err()
            .is_insufficient_stock()
    );
    let delivery = Adjustment::new(sku("keyed-refused"), 1, "delivery");
    shop.adjust_stock(delivery.unwrap()).await.unwrap();
    let order = shop.checkout(request()).await.unwrap();
    assert!(!order.replayed);
    // After the clean-up, the key makes a new order.
    assert_eq!(
        shop.cleanup_idempotency_keys(Duration::from_secs(3_600))
            .await
            .unwrap(),
        0
    );
    assert!(shop.cleanup_idempotency_keys(Duration::ZERO).await.unwrap() >= 3);
    assert!(
        shop.checkout(request())
            .await
            .unwrap_err()
            .is_insufficient_stock()
    );
}

async fn an_invalid_key_is_refused(shop: &dyn Inventory) {
    for bad in ["", "\n", &"x".repeat(501)] {
        let refused = shop.checkout(cart(&[("keyed", 1)]).with_idempotency_key(bad));
        match refused.await {
            Err(error) if error.kind() == ErrorKind::Invalid => {
                assert_eq!(error.invalid_part().unwrap().0, "idempotency key");
            }
            other => panic!("{other:?}"),
        }
    }
}

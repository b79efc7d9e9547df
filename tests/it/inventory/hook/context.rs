//! The value of the host's that a checkout carries to the hook.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use optilock::{
    inventory::{
        Accepted, BoxError, ErrorKind, Inventory, MemoryInventory, OnAccepted, PgInventory,
    },
    sqlx::{self, PgConnection},
};

use crate::{
    support::db::{Db, assert_balanced},
    support::goods::{add, cart},
    support::strategies::STRATEGIES,
};

#[derive(Debug)]
struct Address(&'static str);

/// Writes the address of each order, and refuses an order without one.
#[derive(Default)]
struct Deliveries {
    received: Mutex<Vec<&'static str>>,
}

#[async_trait]
impl OnAccepted for Deliveries {
    async fn on_accepted(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), BoxError> {
        assert!(accepted.context::<&'static str>().is_none());
        let address = accepted.context::<Address>().ok_or("it has no address")?.0;
        self.received.lock().unwrap().push(address);
        sqlx::query("INSERT INTO public.deliveries VALUES ($1, $2)")
            .bind(accepted.order.id.uuid())
            .bind(address)
            .execute(conn)
            .await?;
        Ok(())
    }
}

#[tokio::test]
async fn the_hook_receives_the_context_of_its_checkout() {
    for strategy in STRATEGIES {
        let db = Db::new().await;
        let table = "CREATE TABLE public.deliveries (order_id uuid, address text)";
        sqlx::query(table).execute(&db.pool).await.unwrap();
        let hook = Arc::new(Deliveries::default());
        let shop = PgInventory::new(db.pool.clone())
            .with_strategy(strategy)
            .with_hook(Arc::clone(&hook) as Arc<dyn OnAccepted>);
        add(&shop, "mug", 10).await;
        add(&shop, "pot", 10).await;
        let first = cart(&[("pot", 1)]).with_context(Address("Calle 7"));
        shop.checkout(first.clone()).await.unwrap();
        let second = cart(&[("mug", 1), ("pot", 1)])
            .with_context("replaced")
            .with_context(Address("Avenida 2"));
        let mut tx = db.pool.begin().await.unwrap();
        shop.checkout_in(&mut tx, &second).await.unwrap();
        tx.commit().await.unwrap();
        // The context is not part of the request, and a replay calls no hook.
        let replay = first.with_context(Address("another"));
        assert!(shop.checkout(replay).await.unwrap().replayed);
        let refused = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Hook);
        assert_eq!(
            *hook.received.lock().unwrap(),
            ["Calle 7", "Avenida 2"],
            "{strategy:?}"
        );
        assert_balanced(&db.pool).await;
    }
}

#[tokio::test]
async fn an_inventory_without_a_hook_accepts_a_context() {
    let shop = MemoryInventory::new();
    add(&shop, "pot", 1).await;
    let request = cart(&[("pot", 1)]).with_context(Address("Calle 7"));
    let text = format!("{request:?}");
    assert!(
        text.contains("context: Some(..)") && !text.contains("Calle"),
        "{text}"
    );
    shop.checkout(request.clone()).await.unwrap();
    assert!(shop.checkout(request).await.unwrap().replayed);
}

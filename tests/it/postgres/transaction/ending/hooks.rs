//! Sales whose hook ends the transaction or leaves an unknown outcome.

use std::{
    io::ErrorKind,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use optilock::{
    inventory::{Accepted, BoxError, Inventory, OnAccepted, PgInventory, Strategy},
    sqlx::{self, PgConnection},
    with_retry,
};

use super::POLICY;
use crate::support::{
    db::{Db, assert_balanced},
    goods::{add, cart, stock_of},
    notes::raw,
};

/// A hook that charges a card at another service and receives no answer.
#[derive(Debug, Default)]
struct Charge(AtomicU32);

#[async_trait::async_trait]
impl OnAccepted for Charge {
    async fn on_accepted(&self, _: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        self.0.fetch_add(1, SeqCst);
        let answer: Result<(), _> = with_retry(&POLICY, async |_| {
            Err(sqlx::Error::Io(ErrorKind::TimedOut.into()))
        })
        .await;
        Ok(answer?)
    }
}

/// The sale is rolled back, and the card is charged once at most.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_of_a_hook_is_not_repeated() {
    let db = Db::new().await;
    for strategy in [
        Strategy::Guarded,
        Strategy::Optimistic,
        Strategy::Pessimistic,
    ] {
        let charge = Arc::new(Charge::default());
        let shop = PgInventory::new(db.pool.clone())
            .with_strategy(strategy)
            .with_hook(Arc::clone(&charge) as Arc<dyn OnAccepted>);
        let name = format!("pot-{strategy:?}");
        add(&shop, &name, 5).await;
        let refused = shop.checkout(cart(&[(&name, 1)])).await.unwrap_err();
        assert!(refused.is_unknown() && !refused.is_busy(), "{refused:?}");
        assert_eq!((refused.code(), refused.http_status()), ("hook", 503));
        assert_eq!(charge.0.load(SeqCst), 1, "{strategy:?}");
        assert_eq!(stock_of(&shop, &name).await, 5);
    }
    assert_balanced(&db.pool).await;
}

/// A hook that commits the sale and then refuses it.
#[derive(Debug)]
struct CommitsAndRefuses;

#[async_trait::async_trait]
impl OnAccepted for CommitsAndRefuses {
    async fn on_accepted(&self, conn: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        raw(conn, "COMMIT").await?;
        Err("refused".into())
    }
}

/// The sale is committed, and is reported although the hook refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn a_sale_committed_by_its_hook_is_confirmed() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone()).with_hook(Arc::new(CommitsAndRefuses));
    add(&shop, "pot", 5).await;
    let request = cart(&[("pot", 1)]);
    let order = shop.checkout(request).await.unwrap();
    assert!(order.replayed);
    assert_eq!(stock_of(&shop, "pot").await, 4);
    assert_balanced(&db.pool).await;
}

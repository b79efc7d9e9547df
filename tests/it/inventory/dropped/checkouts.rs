//! Checkouts, direct, batched and in a transaction.

use optilock::{
    RetryPolicy,
    inventory::{BatchOptions, BatchedInventory, Error, Inventory},
    postgres::transact,
    sqlx,
};

use super::OneConnection;
use crate::{
    support::strategies::STRATEGIES,
    support::{SHUTDOWN, goods::cart},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_checkout_leaves_a_clean_connection() {
    let one = OneConnection::with_products().await;
    for strategy in STRATEGIES {
        let shop = one.shop.clone().with_strategy(strategy);
        for lines in [vec![("pot", 1)], vec![("pot", 1), ("mug", 1)]] {
            let label = format!("{strategy:?} checkout of {} lines", lines.len());
            one.drop_after_each_poll(&label, || {
                let request = cart(&lines);
                Box::pin(async { shop.checkout(request).await.map(drop).unwrap() })
            })
            .await;
        }
    }
    one.drop_after_each_poll("a checkout with a key", || {
        let request = cart(&[("pot", 1)]).with_idempotency_key("key");
        Box::pin(async { one.shop.checkout(request).await.map(drop).unwrap() })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_batched_checkout_leaves_a_clean_connection() {
    let one = OneConnection::with_products().await;
    let batched = BatchedInventory::new(one.shop.clone(), BatchOptions::new().always());
    one.drop_after_each_poll("batched checkout", || {
        let request = cart(&[("pot", 1), ("mug", 1)]);
        Box::pin(async { batched.checkout(request).await.map(drop).unwrap() })
    })
    .await;
    batched.shutdown(SHUTDOWN).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_transaction_leaves_a_clean_connection() {
    let one = OneConnection::with_products().await;
    one.drop_after_each_poll("transact", || {
        Box::pin(async {
            let request = cart(&[("pot", 1), ("mug", 1)]);
            transact(&one.pool, &RetryPolicy::new(), async |tx| {
                one.shop.checkout_in(tx, &request).await?;
                sqlx::query("INSERT INTO public.canary DEFAULT VALUES")
                    .execute(&mut **tx)
                    .await?;
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        })
    })
    .await;
    one.drop_after_each_poll("a transaction that fails", || {
        Box::pin(async {
            transact(&one.pool, &RetryPolicy::new(), async |tx| {
                sqlx::query("INSERT INTO public.canary DEFAULT VALUES")
                    .execute(&mut **tx)
                    .await?;
                Err::<(), _>(sqlx::Error::RowNotFound)
            })
            .await
            .unwrap_err();
        })
    })
    .await;
}

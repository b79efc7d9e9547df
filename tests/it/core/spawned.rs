//! Every public async function in a spawned task, together with its borrowed arguments. If this file compiles,
//! their futures are `Send`.

use std::{sync::Arc, time::Duration};

use optilock::{
    Conflict, RetryPolicy, Version,
    inventory::{
        Adjustment, BatchOptions, BatchedInventory, Error, FeedPosition, Inventory,
        MemoryInventory, OrderFilter, OrderId, OrderStep, Page, PgInventory, Quantity, Reserve,
        ReturnRequest,
    },
    migrate,
    postgres::{
        self, Bulk, KeyTable, OnceOptions, TransactOptions, create_key_table, forget_keys,
        transact, transact_once, transact_once_answer, transact_once_answer_with,
        transact_once_with, transact_with,
    },
    with_retry, with_retry_mut,
};

use crate::{
    support::db::Db,
    support::goods::{cart, new_product, sku, stock},
    support::{
        SHUTDOWN,
        bank::{Account, Bank, PLACES},
    },
};

/// Calls every method of an inventory.
async fn call_all_methods(shop: Arc<dyn Inventory>) {
    let pot = sku("pot");
    let added = shop.add_product(new_product("pot", 5)).await.unwrap();
    shop.product(&pot).await.unwrap();
    shop.products(Page::first(5)).await.unwrap();
    shop.products_of(std::slice::from_ref(&pot)).await.unwrap();
    shop.product_at(&pot, added.version).await.unwrap();
    shop.update_product(&added).await.unwrap();
    let adjusted = shop
        .adjust_stock(Adjustment::new(pot.clone(), 1, "delivery").unwrap())
        .await
        .unwrap();
    let counted = shop
        .count_stock(&pot, adjusted.version, stock(3), "day")
        .await
        .unwrap();
    let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    shop.order(order.id).await.unwrap();
    shop.orders(OrderFilter::all(), Page::first(5))
        .await
        .unwrap();
    shop.mark_payment_failed(order.id).await.unwrap();
    shop.cancel(order.id, "test").await.unwrap();
    shop.revive(order.id).await.unwrap();
    let paid = OrderStep::mark_paid(order.id);
    shop.step(paid).await.unwrap();
    let back = ReturnRequest::new(order.id, [(pot.clone(), Quantity::ONE)], "broken").unwrap();
    shop.return_items(back).await.unwrap();
    let held = Reserve::new([(pot.clone(), Quantity::ONE)]).unwrap();
    let held = shop.reserve(held).await.unwrap().id;
    shop.reservation(held).await.unwrap();
    shop.extend(held, Duration::from_secs(900)).await.unwrap();
    shop.release(held).await.unwrap();
    shop.cleanup_reservations().await.unwrap();
    shop.audit().await.unwrap();
    shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    shop.cleanup_idempotency_keys(Duration::ZERO).await.unwrap();
    shop.movements(&pot, Page::first(5)).await.unwrap();
    shop.retire_product(&pot, Version::new(counted.version.get() + 6).unwrap())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_inventory_runs_in_a_spawned_task() {
    let db = Db::empty().await;
    let pool = db.pool.clone();
    tokio::spawn(async move { migrate(&pool).await })
        .await
        .unwrap()
        .unwrap();
    let shop = PgInventory::new(db.pool.clone());
    let batched = BatchedInventory::new(shop.clone(), BatchOptions::new());
    let reader = shop.clone();
    tokio::spawn(async move { reader.movements_since(&FeedPosition::START, 5).await })
        .await
        .unwrap()
        .unwrap();
    tokio::spawn(call_all_methods(Arc::new(shop)))
        .await
        .unwrap();
    let other = Db::new().await;
    let other = BatchedInventory::new(PgInventory::new(other.pool.clone()), BatchOptions::new());
    tokio::spawn(call_all_methods(Arc::new(other)))
        .await
        .unwrap();
    tokio::spawn(async move { batched.shutdown(SHUTDOWN).await })
        .await
        .unwrap()
        .unwrap();
    tokio::spawn(call_all_methods(Arc::new(MemoryInventory::new())))
        .await
        .unwrap();
    // An `Arc` of an inventory is an inventory.
    let shared: Arc<dyn Inventory> = Arc::new(MemoryInventory::new());
    tokio::spawn(call_all_methods(Arc::new(shared)))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_in_transaction_run_in_a_spawned_task() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    let pool = db.pool.clone();
    tokio::spawn(async move {
        let (pot, new, request) = (sku("pot"), new_product("pot", 5), cart(&[("pot", 1)]));
        let (policy, options) = (RetryPolicy::new(), TransactOptions::new());
        transact_with(&pool, &policy, &options, async |tx| {
            let added = shop.add_product_in(tx, &new).await?;
            shop.product_in(tx, &pot).await?;
            shop.products_in(tx, &Page::first(5)).await?;
            shop.products_of_in(tx, std::slice::from_ref(&pot)).await?;
            shop.product_at_in(tx, &pot, added.version).await?;
            let changed = shop.update_product_in(tx, &added).await?;
            let adjustment = Adjustment::new(pot.clone(), 1, "delivery")?;
            shop.adjust_stock_in(tx, &adjustment).await?;
            shop.pause_in(tx, &pot).await?;
            shop.resume_in(tx, &pot).await?;
            let version = Version::new(changed.version.get() + 3).unwrap();
            shop.count_stock_in(tx, &pot, version, stock(3), "day")
                .await?;
            let order = shop.checkout_in(tx, &request).await?;
            shop.order_in(tx, order.id).await?;
            shop.orders_in(tx, &OrderFilter::all(), &Page::first(5))
                .await?;
            shop.mark_payment_failed_in(tx, order.id).await?;
            shop.cancel_in(tx, order.id, "test").await?;
            shop.revive_in(tx, order.id).await?;
            shop.mark_paid_in(tx, order.id).await?;
            shop.step_in(tx, &OrderStep::mark_paid(order.id)).await?;
            let back = ReturnRequest::new(order.id, [(pot.clone(), Quantity::ONE)], "broken")?;
            shop.return_items_in(tx, &back).await?;
            let held = Reserve::new([(pot.clone(), Quantity::ONE)])?;
            let held = shop.reserve_in(tx, &held).await?.id;
            shop.reservation_in(tx, held).await?;
            shop.extend_in(tx, held, Duration::from_secs(900)).await?;
            shop.release_in(tx, held).await?;
            shop.movements_in(tx, &pot, &Page::first(5)).await?;
            shop.movements_since_in(tx, &FeedPosition::START, 5).await?;
            shop.audit_in(tx).await?;
            shop.retire_product_in(tx, &pot, Version::new(version.get() + 7).unwrap())
                .await
        })
        .await
        .unwrap();
        let missing = OrderId::new();
        transact(&pool, &policy, async |tx| {
            shop.order_in(tx, missing).await.map(drop)
        })
        .await
        .unwrap_err()
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn retries_run_in_a_spawned_task() {
    tokio::spawn(async {
        let (policy, text) = (RetryPolicy::new(), String::from("pot"));
        let length = with_retry(&policy, async |_| Ok::<_, Conflict>(text.len()))
            .await
            .unwrap();
        let by_closure = with_retry(&policy, |_| {
            let text = &text;
            async move { Ok::<_, Conflict>(text.len()) }
        });
        assert_eq!(by_closure.await.unwrap(), length);
        let mut log = Vec::new();
        with_retry_mut(&policy, &mut log, async |log, _| {
            log.push(text.len());
            Ok::<_, Error>(())
        })
        .await
        .unwrap();
        assert_eq!(log, [length]);
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn versioned_rows_run_in_a_spawned_task() {
    let bank = Bank::open(PLACES[0]).await;
    let accounts = bank.accounts.clone();
    let pool = bank.pool.clone();
    tokio::spawn(async move {
        let (policy, text) = (RetryPolicy::new(), String::from("Ana"));
        accounts.verify().await?;
        let inserted = accounts.insert(&Account::new(1, 0)).await?;
        accounts.find(&1).await?;
        let read = accounts.get_at(&1, inserted.version).await?;
        let written = accounts.update(&read).await?;
        let _ = accounts.compare_and_set(&written).await?;
        // The closure borrows one variable mutably and another one immutably.
        let mut calls = Vec::new();
        let rename = accounts.modify(&policy, &1, |account| {
            calls.push(account.version);
            account.owner.clone_from(&text);
            Ok::<_, postgres::Error>(())
        });
        let (renamed, ()) = rename.await?;
        assert_eq!(calls.len(), 1);
        let outcomes = accounts
            .update_all(std::slice::from_ref(&renamed), Bulk::Each)
            .await?;
        assert!(outcomes[0].is_written());
        let version = accounts.touch(&1, renamed.version.next().unwrap()).await?;
        let many = [Account::new(2, 0), Account::new(3, 0)];
        let _ = accounts.insert_all(&many).await?;
        let _ = accounts.upsert_all(&many).await?;
        let second = accounts.upsert(&many[0]).await?;
        let deletion = [(second.id, second.version)];
        let _ = accounts.delete_all(&deletion, Bulk::AllOrNothing).await?;
        transact(&pool, &policy, async |tx| {
            accounts.verify_in(tx).await?;
            accounts.find_in(tx, &1).await?;
            let read = accounts.get_at_in(tx, &1, version).await?;
            accounts.assert_current_in(tx, &1, version).await?;
            accounts.lock_in(tx, &1).await?;
            let written = accounts.update_in(tx, &read).await?;
            let _ = accounts.compare_and_set_in(tx, &written).await?;
            let modify = accounts.modify_in(tx, &1, |account| {
                account.owner.clone_from(&text);
                Ok::<_, postgres::Error>(())
            });
            let (modified, ()) = modify.await?;
            let rows = [modified];
            let _ = accounts
                .update_all_in(tx, &rows, Bulk::AllOrNothing)
                .await?;
            let _ = accounts.insert_all_in(tx, &many).await?;
            let _ = accounts.upsert_all_in(tx, &many).await?;
            let second = accounts.upsert_in(tx, &many[0]).await?;
            let deletion = [(second.id, second.version)];
            let _ = accounts.delete_all_in(tx, &deletion, Bulk::Each).await?;
            let last = accounts.get_in(tx, &1).await?;
            let last = accounts.touch_in(tx, &1, last.version).await?;
            accounts.delete_in(tx, &1, last).await?;
            accounts.insert_in(tx, &read).await.map(drop)
        })
        .await?;
        accounts.delete(&1, version).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    })
    .await
    .unwrap()
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_take_effect_once_run_in_a_spawned_task() {
    let bank = Bank::open(PLACES[0]).await;
    let (accounts, pool) = (bank.accounts.clone(), bank.pool.clone());
    tokio::spawn(async move {
        let (policy, options, key) = (RetryPolicy::new(), OnceOptions::new(), String::from("k"));
        create_key_table(&pool, &KeyTable::default()).await?;
        let first = Account::new(1, 0);
        let done = transact_once(&pool, &policy, &key, b"", async |tx| {
            Ok::<_, postgres::Error>(accounts.insert_in(tx, &first).await?.version)
        })
        .await?;
        assert_eq!(done.done(), Some(Version::FIRST));
        transact_once_with(&pool, &policy, &options, &key, b"", async |tx| {
            accounts.get_in(tx, &1).await
        })
        .await?;
        for (key, with_options) in [("one", false), ("other", true)] {
            let read = async |tx: &mut postgres::Tx<'_>| {
                Ok::<_, postgres::Error>(accounts.get_in(tx, &1).await?.cents)
            };
            let answer = match with_options {
                false => transact_once_answer(&pool, &policy, key, b"", read).await?,
                true => transact_once_answer_with(&pool, &policy, &options, key, b"", read).await?,
            };
            assert_eq!((answer.answer, answer.replayed), (0, false));
        }
        let day = Duration::from_secs(86_400);
        assert_eq!(forget_keys(&pool, &KeyTable::default(), day, 5).await?, 0);
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    })
    .await
    .unwrap()
    .unwrap();
}

//! The round trips of the cheat sheet, counted on the wire.

use std::sync::atomic::{AtomicI64, Ordering::SeqCst};

use optilock::{
    RetryPolicy,
    inventory::{Inventory, OrderId, PgInventory, Reserve, Strategy},
    postgres::{
        Bulk, Error, KeyTable, PgRepository, Tx, create_key_table, transact, transact_once,
    },
    sqlx,
};

use crate::support::{
    bank::{Account, Bank, PLACES},
    db::Db,
    goods::{add, cart, sku, units},
    proxy::Proxy,
};

const PAGE: &str = include_str!("../../../src/guide/cheat_sheet.md");

/// Returns the number of round trips that the page states for the operation in this first cell.
fn stated(operation: &str) -> u64 {
    let row = PAGE
        .lines()
        .find_map(|line| line.strip_prefix(&format!("| {operation} | ")));
    let row = row.unwrap_or_else(|| panic!("no row of {operation}"));
    let cell = row.split(" | ").nth(1).unwrap();
    let number = cell.trim_end_matches(" |").split(' ').next();
    number
        .and_then(|it| it.parse().ok())
        .unwrap_or_else(|| panic!("{operation}: {cell}"))
}

/// Counts the statements of the second call; the first one prepares them. `own` of them are the caller's.
async fn check(proxy: &Proxy, operation: &str, own: u64, call: impl AsyncFn()) {
    let sent = || {
        let (executes, queries, _) = proxy.counts();
        executes + queries
    };
    call().await;
    let before = sent();
    call().await;
    assert_eq!(sent() - before, stated(operation) + own, "{operation}");
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_on_rows_make_the_round_trips_of_the_page() {
    let bank = Bank::open(PLACES[0]).await;
    let proxy = Proxy::new(&bank.db).await;
    let pool = proxy.pool(1).await;
    let accounts = PgRepository::<Account>::new(pool.clone());
    for id in [1, 2] {
        bank.account(id, 100).await;
    }
    let next = AtomicI64::new(10);
    let fresh = async || bank.account(next.fetch_add(1, SeqCst), 1).await;
    let read = async |id| bank.accounts.get(&id).await.unwrap();
    let (policy, locking) = (
        RetryPolicy::new(),
        RetryPolicy::new().with_locking_after(Some(0)),
    );
    let plus = |account: &mut Account| {
        account.cents += 1;
        Ok::<_, Error>(())
    };

    check(&proxy, "`find`, `get`, `get_at`", 0, async || {
        accounts.get(&1).await.unwrap();
    })
    .await;
    check(&proxy, "`insert`", 0, async || {
        let id = next.fetch_add(1, SeqCst);
        accounts.insert(&Account::new(id, 1)).await.unwrap();
    })
    .await;
    check(&proxy, "`update`, `compare_and_set`", 0, async || {
        accounts.update(&read(1).await.plus(1)).await.unwrap();
    })
    .await;
    check(&proxy, "`touch`", 0, async || {
        accounts.touch(&1, read(1).await.version).await.unwrap();
    })
    .await;
    check(&proxy, "`delete`", 0, async || {
        let row = fresh().await;
        accounts.delete(&row.id, row.version).await.unwrap();
    })
    .await;
    check(&proxy, "`modify`", 0, async || {
        accounts.modify(&policy, &1, plus).await.unwrap();
    })
    .await;
    let hot = "`modify` of a hot row, or after two conflicts";
    check(&proxy, hot, 0, async || {
        accounts.modify(&locking, &1, plus).await.unwrap();
    })
    .await;
    check(&proxy, "`update_all`", 0, async || {
        let rows = [read(1).await.plus(1), read(2).await.plus(1)];
        accounts.update_all(&rows, Bulk::Each).await.unwrap();
    })
    .await;
    check(&proxy, "`delete_all`", 0, async || {
        let rows = [fresh().await, fresh().await].map(|row| (row.id, row.version));
        accounts.delete_all(&rows, Bulk::Each).await.unwrap();
    })
    .await;
    check(&proxy, "`insert_all`", 0, async || {
        let rows = [0, 0].map(|cents| Account::new(next.fetch_add(1, SeqCst), cents));
        accounts.insert_all(&rows).await.unwrap();
    })
    .await;
    check(&proxy, "`upsert`, `upsert_all`", 0, async || {
        let new = Account::new(next.fetch_add(1, SeqCst), 0);
        accounts.upsert_all(&[new, read(1).await]).await.unwrap();
    })
    .await;
    create_key_table(&bank.db.pool, &KeyTable::default())
        .await
        .unwrap();
    check(&proxy, "`transact_once`", 1, async || {
        let key = next.fetch_add(1, SeqCst).to_string();
        let write = async |tx: &mut Tx<'_>| {
            let update = sqlx::query("UPDATE bank.accounts SET cents = 0 WHERE id = 2");
            update.execute(&mut **tx).await?;
            Ok::<_, Error>(())
        };
        transact_once(&pool, &policy, &key, b"", write)
            .await
            .unwrap();
    })
    .await;
    check(&proxy, "`transact`", 1, async || {
        transact(&pool, &policy, async |tx| {
            let insert = sqlx::query("UPDATE bank.accounts SET cents = 0 WHERE id = 2");
            insert.execute(&mut **tx).await.map(drop)
        })
        .await
        .unwrap();
    })
    .await;
    let begun = stated("`transact`");
    for (operation, own) in [("`lock_in`", 0), ("`assert_current_in`", 0)] {
        check(&proxy, operation, own + begun, async || {
            let version = read(1).await.version;
            transact(&pool, &policy, async |tx| match operation {
                "`lock_in`" => accounts.lock_in(tx, &1).await.map(drop),
                _ => accounts.assert_current_in(tx, &1, version).await,
            })
            .await
            .unwrap();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_of_the_inventory_make_the_round_trips_of_the_page() {
    let db = Db::new().await;
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(1).await;
    let shop = |strategy| PgInventory::new(pool.clone()).with_strategy(strategy);
    let direct = PgInventory::new(db.pool.clone());
    for name in ["mug", "pot"] {
        add(&direct, name, 1_000).await;
    }
    let (one, two) = ([("pot", 1)], [("mug", 1), ("pot", 1)]);
    let order = async || direct.checkout(cart(&two)).await.unwrap().id;

    for (operation, strategy, lines) in [
        (
            "`checkout`, one line, `Guarded`",
            Strategy::Guarded,
            &one[..],
        ),
        ("`checkout`, several lines", Strategy::Guarded, &two),
        ("`checkout`, `Optimistic`", Strategy::Optimistic, &one),
        ("`checkout`, `Optimistic`", Strategy::Optimistic, &two),
        ("`checkout`, `Pessimistic`", Strategy::Pessimistic, &one),
        ("`checkout`, `Pessimistic`", Strategy::Pessimistic, &two),
    ] {
        let shop = shop(strategy);
        check(&proxy, operation, 0, async || {
            shop.checkout(cart(lines)).await.unwrap();
        })
        .await;
    }
    let shop = shop(Strategy::Guarded);
    check(&proxy, "`reserve`", 0, async || {
        let held = [(sku("mug"), units(1)), (sku("pot"), units(1))];
        shop.reserve(Reserve::new(held).unwrap()).await.unwrap();
    })
    .await;
    check(
        &proxy,
        "`mark_paid`, `mark_payment_failed`",
        0,
        async || {
            shop.mark_paid(order().await).await.unwrap();
        },
    )
    .await;
    check(&proxy, "`cancel`", 0, async || {
        shop.cancel(order().await, "changed").await.unwrap();
    })
    .await;
    let made: OrderId = order().await;
    for read in ["product", "order"] {
        check(
            &proxy,
            "`product`, `order`, `reservation`",
            0,
            async || match read {
                "product" => drop(shop.product(&sku("pot")).await.unwrap()),
                _ => drop(shop.order(made).await.unwrap()),
            },
        )
        .await;
    }
}

//! What leaves, and how it is handed over.

use optilock::{
    RetryPolicy,
    inventory::{
        Adjustment, Error, FeedPosition, Inventory, MovementKind as Kind, OrderFilter, OrderStatus,
        Page, PgInventory,
    },
    postgres::transact,
};

use super::{Ground, age, archive, everything, kinds, movements, rows};
use crate::support::{
    db::{Db, assert_balanced},
    goods::{add, cart, sku, units},
    triggers::run,
};

#[tokio::test]
async fn what_has_ended_leaves_with_all_of_its_rows() {
    let ground = Ground::new().await;
    let shop = &ground.shop;
    let before = movements(shop, "pot").await;
    let (paid, cancelled) = (
        shop.order(ground.paid).await.unwrap(),
        shop.order(ground.cancelled).await.unwrap(),
    );
    let sold = shop.reservation(ground.sold).await.unwrap();
    let archived = archive(shop, everything(), 1_000).await;

    let orders: Vec<_> = archived.orders.iter().map(|order| order.id).collect();
    assert_eq!(orders.len(), 3, "{orders:?}");
    assert_eq!(archived.orders[..2], [paid, cancelled]);
    let returns: Vec<_> = archived.returns.iter().collect();
    assert_eq!(returns.len(), 2);
    assert_eq!(returns[0].order, ground.paid);
    assert_eq!(returns[0].lines, [(sku("pot"), units(1))]);
    assert_eq!(returns[0].reason, "broken");
    let reservations: Vec<_> = archived.reservations.iter().map(|it| it.id).collect();
    assert_eq!(reservations, [ground.released, ground.sold]);
    assert_eq!(archived.reservations[1], sold);

    // Up to the pending order's sale.
    let left = movements(shop, "pot").await;
    let of_pot = archived.movements.iter().filter(|it| it.sku == sku("pot"));
    let of_pot: Vec<_> = of_pot.cloned().collect();
    assert_eq!(of_pot, before[..before.len() - 1]);
    assert_eq!(left.len(), 2);
    assert_eq!(left[1], before[before.len() - 1]);
    let (opening, last) = (&left[0], &before[before.len() - 2]);
    assert_eq!(
        (opening.kind, opening.version),
        (Kind::Opening, last.version)
    );
    assert_eq!(
        (opening.delta, opening.stock_after),
        (last.stock_after, last.stock_after)
    );
    assert_eq!((opening.order, opening.moved_at), (None, last.moved_at));

    // The shop goes on.
    assert_balanced(&ground.db.pool).await;
    shop.mark_paid(ground.pending).await.unwrap();
    shop.release(ground.held).await.unwrap();
    shop.checkout(cart(&[("pot", 1), ("mug", 1)]))
        .await
        .unwrap();
    assert_balanced(&ground.db.pool).await;
    let found = support::balances::discrepancies(&ground.db.pool).await;
    assert_eq!(found.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn lists_leave_archived_orders_out() {
    let ground = Ground::new().await;
    let shop = &ground.shop;
    archive(shop, everything(), 1_000).await;
    for filter in [
        OrderFilter::all(),
        OrderFilter::all().newest_first(),
        OrderFilter::all().with_status(OrderStatus::Void),
        OrderFilter::all().with_status(OrderStatus::Paid),
    ] {
        let found = shop.orders(filter.clone(), Page::first(100)).await.unwrap();
        let found: Vec<_> = found.iter().map(|order| order.id).collect();
        assert!(
            found.is_empty() || found == [ground.pending],
            "{filter:?}: {found:?}"
        );
    }
    let report = shop.report(std::time::Duration::from_secs(3_600)).await;
    assert_eq!(report.unwrap().unpaid.len(), 0);
}

/// Small pages hand over the same rows as one large page of each part.
#[tokio::test]
async fn pages_hand_over_each_row_once() {
    let (one, many) = (Ground::new().await, Ground::new().await);
    let whole = archive(&one.shop, everything(), 100_000).await;
    let pages = archive(&many.shop, everything(), 2).await;
    let text = |orders: &[optilock::inventory::Order]| {
        let lines = orders
            .iter()
            .map(|it| format!("{} {:?}", it.status, it.lines));
        lines.collect::<Vec<_>>()
    };
    assert_eq!(text(&whole.orders), text(&pages.orders));
    assert_eq!(whole.returns.len(), pages.returns.len());
    assert_eq!(whole.reservations.len(), pages.reservations.len());
    let text = |movements: &[optilock::inventory::Movement]| {
        let lines = movements.iter().map(|it| {
            format!(
                "{} {} {} {} {}",
                it.sku, it.version, it.kind, it.delta, it.stock_after
            )
        });
        lines.collect::<Vec<_>>()
    };
    assert_eq!(text(&whole.movements), text(&pages.movements));
    assert_eq!(
        kinds(&one.shop, "mug").await,
        kinds(&many.shop, "mug").await
    );
    assert_balanced(&many.db.pool).await;
    // What stays is looked at again, and nothing leaves.
    let again = archive(&many.shop, everything(), 2).await;
    assert!(
        again.orders.is_empty() && again.movements.is_empty(),
        "{again:?}"
    );
    // And later, the rest.
    many.shop.mark_paid(many.pending).await.unwrap();
    many.shop.release(many.held).await.unwrap();
    age(&many.db.pool).await;
    run(
        &many.db.pool,
        "UPDATE optilock.holds SET expires_at = now()",
    )
    .await;
    archive(&many.shop, everything(), 3).await;
    for of in ["mug", "pot"] {
        let left = kinds(&many.shop, of).await;
        assert!(matches!(left[..], [(_, Kind::Opening)]), "{of}: {left:?}");
    }
    assert_balanced(&many.db.pool).await;
}

/// The rows commit with those of the caller, or not at all.
#[tokio::test]
async fn the_callers_transaction_decides() {
    let ground = Ground::new().await;
    let (shop, pool) = (&ground.shop, &ground.db.pool);
    let before = rows(pool).await;
    let mut transaction = pool.begin().await.unwrap();
    let mut position = Some(everything());
    while let Some(from) = position {
        let page = shop.archive_in(&mut transaction, &from, 10).await.unwrap();
        position = page.next;
    }
    transaction.rollback().await.unwrap();
    assert_eq!(rows(pool).await, before);

    run(
        pool,
        "CREATE TABLE public.old_movements (sku text, version bigint, PRIMARY KEY (sku, version))",
    )
    .await;
    let mut position = Some(everything());
    while let Some(from) = position {
        position = transact(pool, &RetryPolicy::new(), async |tx| {
            let page = shop.archive_in(tx, &from, 10).await?;
            for movement in &page.movements {
                let store = "INSERT INTO public.old_movements VALUES ($1, $2)";
                let store = optilock::sqlx::query(store)
                    .bind(movement.sku.as_str())
                    .bind(movement.version.get());
                store.execute(&mut **tx).await?;
            }
            Ok::<_, Error>(page.next)
        })
        .await
        .unwrap();
    }
    let gaps = "SELECT count(*) FROM optilock.products p, generate_series(1, p.version) v
        WHERE NOT EXISTS (SELECT FROM public.old_movements m WHERE (m.sku, m.version) = (p.sku, v))
            AND NOT EXISTS (SELECT FROM optilock.movements m
                WHERE (m.sku, m.version) = (p.sku, v) AND m.kind <> 15)";
    let gaps: i64 = optilock::sqlx::query_scalar(gaps)
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(gaps, 0);
}

/// A reader that begins later gets the opening balance, from which its sums are right.
#[tokio::test]
async fn a_new_reader_of_the_feed_begins_with_the_balance() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 9).await;
    let sold = shop.checkout(cart(&[("pot", 2)])).await.unwrap();
    shop.mark_paid(sold.id).await.unwrap();
    age(&db.pool).await;
    archive(&shop, everything(), 10).await;
    shop.checkout(cart(&[("pot", 3)])).await.unwrap();
    // Another test's transaction may still be open.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let page = shop
            .movements_since(&FeedPosition::START, 10)
            .await
            .unwrap();
        if page.movements.len() == 2 {
            let sum: i64 = page.movements.iter().map(|it| it.delta).sum();
            assert_eq!(sum, 4, "{page:?}");
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{page:?}");
        tokio::task::yield_now().await;
    }
}

/// Of two transactions, the one that began first commits the later version: it comes first in the feed. A reader between
/// the two gets the balance, which stands for both.
#[tokio::test]
async fn a_reader_between_two_movements_gets_the_balance() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 9).await;
    let mut first = db.pool.begin().await.unwrap();
    let begun = optilock::sqlx::query("SELECT pg_current_xact_id()");
    begun.execute(&mut *first).await.unwrap();
    let lost = |units: i64| Adjustment::new(sku("pot"), -units, "lost").unwrap();
    shop.adjust_stock(lost(1)).await.unwrap();
    shop.adjust_stock_in(&mut first, &lost(2)).await.unwrap();
    first.commit().await.unwrap();
    age(&db.pool).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let next = async |position: &FeedPosition, movements: usize| loop {
        let page = shop.movements_since(position, 2).await.unwrap();
        if page.movements.len() == movements {
            return page;
        }
        assert!(std::time::Instant::now() < deadline, "{page:?}");
        tokio::task::yield_now().await;
    };
    let read = next(&FeedPosition::START, 2).await;
    let versions: Vec<_> = read.movements.iter().map(|it| it.version.get()).collect();
    assert_eq!(versions, [1, 3]);
    archive(&shop, everything(), 10).await;
    let rest = next(&read.next, 1).await;
    let rest = &rest.movements[0];
    assert_eq!(
        (rest.kind, rest.version.get(), rest.delta),
        (Kind::Opening, 3, 6)
    );
}

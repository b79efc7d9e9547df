//! Archives beside each other and beside a shop that sells.

use std::collections::BTreeSet;

use optilock::{
    inventory::{
        ArchivePosition, Archived, BatchOptions, BatchedInventory, Error, Inventory, PgInventory,
        Reserve, ReturnRequest,
    },
    sqlx,
};

use super::{age, archive, archived, everything};
use crate::support::{
    bank::until_waiting,
    db::{Db, assert_balanced},
    goods::{add, cart, sku, units},
    strategies::STRATEGIES,
    triggers::add_trigger,
};

/// Archives once from the start on; a page that another archive disturbed is tried again.
async fn pass(shop: &PgInventory, all: &mut Vec<Archived>) -> Result<(), Error> {
    let mut position = Some(everything());
    while let Some(from) = position {
        let page = shop.archive(&from, 7).await?;
        position = page.next.clone();
        all.push(page);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_archives_hand_over_each_row_once_while_the_shop_sells() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "mug", 100_000).await;
    add(&shop, "pot", 100_000).await;
    age(&db.pool).await;
    // What is younger than an hour would stay.
    let body = "NEW.moved_at := NEW.moved_at - interval '1 day'; RETURN NEW;";
    add_trigger(&db.pool, "movements", "INSERT", body, "").await;
    let buyers = (0..4).map(|buyer| {
        let shop = shop.clone();
        tokio::spawn(async move {
            for round in 0..60 {
                let sold = shop.checkout(cart(&[("mug", 1), ("pot", 2)])).await?;
                if (buyer + round) % 3 == 0 {
                    shop.cancel(sold.id, "test").await?;
                } else {
                    shop.mark_paid(sold.id).await?;
                    let back = ReturnRequest::new(sold.id, [(sku("pot"), units(1))], "late")?;
                    match shop.return_items(back).await {
                        // It was archived in between.
                        Err(error) if error.code() == "archived" => {}
                        other => drop(other?),
                    }
                }
            }
            Ok::<_, Error>(())
        })
    });
    let buyers: Vec<_> = buyers.collect();
    let archives = (0..2).map(|_| {
        let shop = shop.clone();
        tokio::spawn(async move {
            let mut all = Vec::new();
            for _ in 0..6 {
                pass(&shop, &mut all).await?;
            }
            Ok::<_, Error>(all)
        })
    });
    let archives: Vec<_> = archives.collect();
    for buyer in buyers {
        buyer.await.unwrap().unwrap();
    }
    let mut pages = Vec::new();
    for archive in archives {
        pages.extend(archive.await.unwrap().unwrap());
    }
    pass(&shop, &mut pages).await.unwrap();
    let (mut orders, mut movements) = (BTreeSet::new(), BTreeSet::new());
    for page in &pages {
        for order in &page.orders {
            assert!(orders.insert(order.id.uuid()), "{} twice", order.id);
        }
        for it in &page.movements {
            let key = (it.sku.to_string(), it.version.get());
            assert!(movements.insert(key.clone()), "{key:?} twice");
        }
    }
    assert_eq!(orders.len(), 240);
    for of in ["mug", "pot"] {
        let product = shop.product(&sku(of)).await.unwrap();
        let left = movements.iter().filter(|(sku, _)| sku == of).count();
        assert_eq!(i64::try_from(left).unwrap(), product.version.get(), "{of}");
    }
    assert_balanced(&db.pool).await;
    let found = support::balances::discrepancies(&db.pool).await.unwrap();
    assert_eq!(found, Vec::<String>::new());
}

/// A step waits for the archive of its order.
#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_waits_for_the_archive_is_archived() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 9).await;
    for step in ["return", "revive"] {
        let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap().id;
        if step == "return" {
            shop.mark_paid(order).await.unwrap();
        } else {
            shop.cancel(order, "test").await.unwrap();
        }
        let mut tx = db.pool.begin().await.unwrap();
        let page = shop.archive_in(&mut tx, &everything(), 10).await.unwrap();
        assert_eq!(page.orders.len(), 1);
        let other = shop.clone();
        let waiting = tokio::spawn(async move {
            if step == "return" {
                let back = ReturnRequest::new(order, [(sku("pot"), units(1))], "late").unwrap();
                other.return_items(back).await
            } else {
                other.revive(order).await
            }
        });
        until_waiting(&db.pool).await;
        tx.commit().await.unwrap();
        archived(waiting.await.unwrap(), step);
        assert_balanced(&db.pool).await;
    }
}

/// A return commits while the archive looks at its order: the order stays for another pass, or leaves with the return.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_meets_a_step_leaves_its_order() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 9).await;
    let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap().id;
    shop.mark_paid(order).await.unwrap();
    let mut tx = db.pool.begin().await.unwrap();
    let back = ReturnRequest::new(order, [(sku("pot"), units(1))], "late").unwrap();
    shop.return_items_in(&mut tx, &back).await.unwrap();
    let page = archive(&shop, everything(), 10).await;
    assert_eq!(page.orders, []);
    tx.commit().await.unwrap();
    let position = ArchivePosition::before(everything().time());
    let page = archive(&shop, position, 10).await;
    assert_eq!((page.orders.len(), page.returns.len()), (1, 1));
    assert_eq!(page.orders[0].lines[0].returned, 1);
    assert_balanced(&db.pool).await;
}

/// A checkout from a reservation waits for the archive of that.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_waits_for_the_archive_is_archived() {
    for strategy in STRATEGIES {
        for is_batched in [false, true] {
            let db = Db::new().await;
            let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
            add(&shop, "pot", 9).await;
            let held = Reserve::new([(sku("pot"), units(2))]).unwrap();
            let held = shop.reserve(held).await.unwrap().id;
            let ended = "UPDATE optilock.holds SET expires_at = now() - interval '1 day'";
            sqlx::query(ended).execute(&db.pool).await.unwrap();
            shop.cleanup_reservations().await.unwrap();
            let mut tx = db.pool.begin().await.unwrap();
            let mut position = Some(everything());
            while let Some(from) = position {
                position = shop.archive_in(&mut tx, &from, 10).await.unwrap().next;
            }
            let buy = cart(&[("pot", 1)]).with_reservation(held);
            let other: Box<dyn Inventory> = match is_batched {
                true => Box::new(BatchedInventory::new(
                    shop.clone(),
                    BatchOptions::new().always(),
                )),
                false => Box::new(shop.clone()),
            };
            let waiting = tokio::spawn(async move { other.checkout(buy).await });
            until_waiting(&db.pool).await;
            tx.commit().await.unwrap();
            archived(
                waiting.await.unwrap(),
                &format!("{strategy:?}, batched: {is_batched}"),
            );
            assert_balanced(&db.pool).await;
        }
    }
}

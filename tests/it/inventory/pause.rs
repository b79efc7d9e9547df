//! Products whose sale is paused.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use optilock::{
    Version,
    cache::CachedStock,
    inventory::{
        Adjustment, BatchOptions, BatchedInventory, Error, Inventory, MemoryInventory, Movement,
        MovementKind, Page, PgInventory, Reserve, ReturnRequest, Strategy,
    },
};
use tokio::task::JoinSet;

use crate::{
    support::db::{Db, Default, assert_books, pool_options},
    support::goods::{add, cart, new_product, sku, stock, units},
};

fn is_paused(error: &Error, name: &str) -> bool {
    matches!(error, Error::ProductPaused { sku: found } if *found == sku(name))
}

async fn ledger(shop: &dyn Inventory, name: &str) -> Vec<Movement> {
    shop.movements(&sku(name), Page::first(100)).await.unwrap()
}

/// Paused and resumed without a version; everything but a sale goes on.
async fn pauses_and_resumes(shop: &dyn Inventory) {
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

    // For one that is not paused, a resume changes nothing.
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
    assert_eq!(shop.pause(&pot).await.unwrap(), paused, "no second pause");
    assert_eq!(shop.product(&pot).await.unwrap(), paused);
    let listed = shop.products_of(std::slice::from_ref(&pot)).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&paused));

    let price = paused.price;
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
    let kinds = [MovementKind::Paused, MovementKind::Resumed];
    let moved: Vec<_> = ledger(shop, "pause")
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

    // Retired while it is paused; taken up again it is sold.
    let paused = shop.pause(&pot).await.unwrap();
    shop.retire_product(&pot, paused.version).await.unwrap();
    for retired in [shop.pause(&pot).await, shop.resume(&pot).await] {
        assert!(retired.unwrap_err().is_not_found());
    }
    let again = shop.add_product(new_product("pause", 1)).await.unwrap();
    assert_eq!((again.paused, again.price), (false, price));
    shop.checkout(cart(&[("pause", 1)])).await.unwrap();
}

/// Whatever sells is refused, first of all for the pause.
async fn refuses(shop: &dyn Inventory) {
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

/// What was held before the pause can be bought, and no more.
async fn honours_holds(shop: &dyn Inventory) {
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

async fn fulfil(shop: &dyn Inventory) {
    pauses_and_resumes(shop).await;
    refuses(shop).await;
    honours_holds(shop).await;
}

#[tokio::test]
async fn memory() {
    fulfil(&MemoryInventory::new()).await;
    let shop: Arc<dyn Inventory> = Arc::new(CachedStock::new(MemoryInventory::new()));
    fulfil(&shop).await;
}

macro_rules! each {
    ($($name:ident: $fulfil:ident by $strategy:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let db = Db::with(Default::ReadCommitted, 4).await;
            let shop = PgInventory::new(db.pool.clone()).with_strategy(Strategy::$strategy);
            $fulfil(&shop).await;
            assert_books(&db.pool).await;
        }
    )*};
}

each! {
    guarded: pauses_and_resumes by Guarded;
    optimistic: pauses_and_resumes by Optimistic;
    pessimistic: pauses_and_resumes by Pessimistic;
    guarded_refuses: refuses by Guarded;
    optimistic_refuses: refuses by Optimistic;
    pessimistic_refuses: refuses by Pessimistic;
    guarded_honours_holds: honours_holds by Guarded;
    optimistic_honours_holds: honours_holds by Optimistic;
    pessimistic_honours_holds: honours_holds by Pessimistic;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_batches() {
    for options in [BatchOptions::new(), BatchOptions::new().always()] {
        let db = Db::with(Default::ReadCommitted, 4).await;
        let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), options);
        fulfil(&shop).await;
        shop.shutdown().await;
        assert_books(&db.pool).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_default_isolation() {
    for default in [Default::RepeatableRead, Default::Serializable] {
        let db = Db::with(default, 4).await;
        pauses_and_resumes(&PgInventory::new(db.pool.clone())).await;
        assert_books(&db.pool).await;
    }
}

/// With the host's own rows, or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_transaction() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    let pot = sku("pot");
    let mut transaction = db.pool.begin().await.unwrap();
    let paused = shop.pause_in(&mut transaction, &pot).await.unwrap();
    assert!(paused.paused);
    transaction.rollback().await.unwrap();
    assert!(!shop.product(&pot).await.unwrap().paused);
    let mut transaction = db.pool.begin().await.unwrap();
    shop.pause_in(&mut transaction, &pot).await.unwrap();
    let resumed = shop.resume_in(&mut transaction, &pot).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(shop.product(&pot).await.unwrap(), resumed);
    assert_books(&db.pool).await;
}

#[tokio::test]
async fn is_not_shown_as_something_to_buy() {
    let shop = CachedStock::new(MemoryInventory::new());
    add(&shop, "pot", 5).await;
    let pot = sku("pot");
    let left = shop.display(&pot).await.unwrap();
    assert_eq!((left.shown(), left.is_paused()), (5, false));
    shop.pause(&pot).await.unwrap();
    let left = shop.display(&pot).await.unwrap();
    assert!(left.is_paused() && left.is_sold_out());
    assert_eq!(
        (left.shown(), left.to_string().as_str()),
        (0, "not available")
    );
    shop.resume(&pot).await.unwrap();
    let left = shop.display(&pot).await.unwrap();
    assert_eq!(
        (left.to_string().as_str(), left.is_paused()),
        ("5 left", false)
    );
}

/// Buyers of one product without end, and pauses between them: each within `limit`, and no sale between
/// a pause and the resume that follows it.
/// `clerk` pauses what the buyers of `shop` buy.
async fn among_buyers(
    shop: Arc<dyn Inventory>,
    clerk: Arc<dyn Inventory>,
    pauses: u32,
    limit: Duration,
) {
    add(&*shop, "pot", 100_000_000).await;
    let pot = sku("pot");
    let (sold, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let over = Arc::new(AtomicBool::new(false));
    let mut buyers = JoinSet::new();
    for _ in 0..256 {
        let (shop, sold, refused, over) =
            (shop.clone(), sold.clone(), refused.clone(), over.clone());
        buyers.spawn(async move {
            while !over.load(SeqCst) {
                match shop.checkout(cart(&[("pot", 1)])).await {
                    Ok(_) => sold.fetch_add(1, SeqCst),
                    Err(error) if is_paused(&error, "pot") => refused.fetch_add(1, SeqCst),
                    Err(error) => panic!("{error:?}"),
                };
            }
        });
    }
    let more = async |count: &AtomicU64, by: u64| {
        let from = count.load(SeqCst);
        let since = Instant::now();
        while count.load(SeqCst) < from + by {
            assert!(since.elapsed() < Duration::from_secs(20), "no buyer moves");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let mut slowest = Duration::ZERO;
    for _ in 0..pauses {
        more(&sold, 256).await;
        let began = Instant::now();
        let paused = clerk.pause(&pot).await.unwrap();
        slowest = slowest.max(began.elapsed());
        more(&refused, 512).await;
        let resumed = clerk.resume(&pot).await.unwrap();
        assert_eq!(
            resumed.version.get(),
            paused.version.get() + 1,
            "nothing moved while it was paused"
        );
    }
    over.store(true, SeqCst);
    buyers.join_all().await;
    println!("the slowest of {pauses} pauses took {slowest:.1?}");
    assert!(slowest <= limit, "{slowest:?}");
}

/// The limit of the bar is for a machine that does nothing else.
const LIMIT: Duration = Duration::from_secs(5);

macro_rules! storms {
    ($($name:ident, $in_full:ident: $shop:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let db = Db::with(Default::ReadCommitted, 40).await;
            let shop = ($shop)(PgInventory::new(db.pool.clone()));
            among_buyers(shop.clone(), shop, 5, LIMIT).await;
            assert_books(&db.pool).await;
        }

        #[tokio::test(flavor = "multi_thread")]
        #[ignore = "wants the machine for itself"]
        async fn $in_full() {
            let db = Db::with(Default::ReadCommitted, 40).await;
            let shop = ($shop)(PgInventory::new(db.pool.clone()));
            // In another process: through the buyers' own pool it would wait for a connection behind 216 of them.
            let pool = pool_options(1).connect_with(db.database.options()).await.unwrap();
            let clerk = Arc::new(PgInventory::new(pool));
            among_buyers(shop, clerk, 60, Duration::from_millis(200)).await;
            assert_books(&db.pool).await;
        }
    )*};
}

storms! {
    among_buyers_guarded, in_full_guarded: |shop: PgInventory| Arc::new(shop);
    among_buyers_optimistic, in_full_optimistic: |shop: PgInventory| {
        Arc::new(shop.with_strategy(Strategy::Optimistic))
    };
    among_buyers_pessimistic, in_full_pessimistic: |shop: PgInventory| {
        Arc::new(shop.with_strategy(Strategy::Pessimistic))
    };
    among_buyers_in_batches, in_full_in_batches: |shop: PgInventory| {
        Arc::new(BatchedInventory::new(shop, BatchOptions::new()))
    };
}

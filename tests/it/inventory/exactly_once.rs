//! Connections that die at the worst moment, and calls that meet: one effect, and a true answer.

use std::sync::Arc;

use optilock::{
    RetryPolicy,
    inventory::{
        Adjustment, Checkout, Error, Inventory, Order, OrderStatus, PgInventory, Strategy,
    },
    sqlx,
};
use tokio::{sync::Notify, task::JoinHandle};

use crate::{
    inventory::scenarios::race,
    support::db::{Db, assert_books, order_count},
    support::goods::{add, cart, new_product, pesos, sku, stock, stock_of},
    support::proxy::{Cut, Proxy},
};

struct Setting {
    db: Db,
    proxy: Proxy,
    /// Through the proxy.
    shop: PgInventory,
    /// Past it.
    direct: PgInventory,
}

impl Setting {
    async fn new(strategy: Strategy) -> Self {
        let db = Db::new().await;
        let proxy = Proxy::new(&db).await;
        let shop = PgInventory::new(proxy.pool(4).await).with_strategy(strategy);
        let direct = PgInventory::new(db.pool.clone());
        add(&direct, "pot", 1).await;
        add(&direct, "mug", 1).await;
        Self {
            db,
            proxy,
            shop,
            direct,
        }
    }

    /// A buyer who goes through the proxy.
    fn spawn(&self, request: &Checkout) -> JoinHandle<Result<Order, Error>> {
        let (shop, request) = (self.shop.clone(), request.clone());
        tokio::spawn(async move { shop.checkout(request).await })
    }

    fn trap(&self, request: &Checkout, cut: Cut) {
        self.proxy.trap(request.order_id().uuid().as_bytes(), cut);
    }
}

const STRATEGIES: [Strategy; 3] = [
    Strategy::Guarded,
    Strategy::Optimistic,
    Strategy::Pessimistic,
];

fn carts() -> [Checkout; 3] {
    [
        cart(&[("pot", 1)]),
        cart(&[("pot", 1), ("mug", 1)]),
        cart(&[("pot", 1)]).with_idempotency_key("click"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_never_arrived_is_sent_again() {
    for strategy in STRATEGIES {
        for request in carts() {
            let set = Setting::new(strategy).await;
            set.trap(&request, Cut::Before);
            let order = set.shop.checkout(request.clone()).await.unwrap();
            assert!(!set.proxy.armed() && !order.replayed && order.id == request.order_id());
            assert_eq!(
                (
                    stock_of(&set.direct, "pot").await,
                    order_count(&set.db.pool).await
                ),
                (0, 1)
            );
            assert_books(&set.db.pool).await;
        }
    }
}

/// The last unit is gone, and the answer that this call took it is lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_lost_is_looked_up() {
    for strategy in STRATEGIES {
        for request in carts() {
            let set = Setting::new(strategy).await;
            match strategy {
                // The second message with the order's id: the first only reads.
                Strategy::Optimistic => set.proxy.trap(&sale_of(&request), Cut::Reply),
                Strategy::Pessimistic => set.proxy.trap(b"COMMIT\0", Cut::Reply),
                _ => set.trap(&request, Cut::Reply),
            }
            let (before, ..) = set.proxy.counts();
            let order = set.shop.checkout(request.clone()).await.unwrap();
            // The sale, with what came before it, and one look: no second sale is tried blindly.
            let executes = set.proxy.counts().0 - before;
            assert!(executes <= 3, "{strategy:?}: {executes} statements");
            assert!(!set.proxy.armed(), "{strategy:?}");
            assert!(
                order.replayed && order.id == request.order_id(),
                "{strategy:?}: {order:?}"
            );
            assert_eq!(order.lines.len(), request.lines().len());
            assert_eq!(
                (
                    stock_of(&set.direct, "pot").await,
                    order_count(&set.db.pool).await
                ),
                (0, 1)
            );
            assert_books(&set.db.pool).await;
        }
    }
}

/// The order's id and what follows it only in the statements that sell: a customer that is NULL.
fn sale_of(request: &Checkout) -> Vec<u8> {
    [request.order_id().uuid().as_bytes(), [0xff; 4].as_slice()].concat()
}

/// Lost before `COMMIT` arrived, nothing was committed; the client can't know, asks, and sells.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_never_arrived_is_made_again() {
    for request in carts() {
        let set = Setting::new(Strategy::Pessimistic).await;
        set.proxy.trap(b"COMMIT\0", Cut::Before);
        let order = set.shop.checkout(request).await.unwrap();
        assert!(!set.proxy.armed() && !order.replayed);
        assert_eq!(
            (
                stock_of(&set.direct, "pot").await,
                order_count(&set.db.pool).await
            ),
            (0, 1)
        );
        assert_books(&set.db.pool).await;
    }
}

/// The first attempt reaches the server after the second was answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_delivery_has_no_second_effect() {
    for request in carts() {
        let set = Setting::new(Strategy::Guarded).await;
        set.direct
            .adjust_stock(Adjustment::new(sku("pot"), 9, "delivery").unwrap())
            .await
            .unwrap();
        set.direct
            .adjust_stock(Adjustment::new(sku("mug"), 9, "delivery").unwrap())
            .await
            .unwrap();
        let (release, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        set.trap(&request, Cut::Late(release.clone(), done.clone()));
        let order = set.shop.checkout(request).await.unwrap();
        assert!(!set.proxy.armed() && !order.replayed);
        release.notify_one();
        done.notified().await;
        assert_eq!(
            (
                stock_of(&set.direct, "pot").await,
                order_count(&set.db.pool).await
            ),
            (9, 1)
        );
        assert_books(&set.db.pool).await;
    }
}

/// The first attempt is on its way, the second is refused, the stock comes back, the first arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_an_unknown_outcome_is_final() {
    for strategy in [Strategy::Guarded, Strategy::Optimistic] {
        for request in carts() {
            let set = Setting::new(strategy).await;
            // Somebody is about to buy the last unit: read, it is still there.
            let mut tx = set.db.pool.begin().await.unwrap();
            set.direct
                .checkout_in(&mut tx, &cart(&[("pot", 1)]))
                .await
                .unwrap();
            let (release, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            set.proxy
                .trap(&sale_of(&request), Cut::Late(release.clone(), done.clone()));
            let buyer = set.spawn(&request);
            until_somebody_waits(&set.db).await;
            assert!(!set.proxy.armed(), "it is the second attempt that waits");
            tx.commit().await.unwrap();
            let refused = buyer.await.unwrap().unwrap_err();
            assert!(refused.is_insufficient_stock(), "{strategy:?}: {refused:?}");

            let delivery = Adjustment::new(sku("pot"), 5, "delivery").unwrap();
            set.direct.adjust_stock(delivery).await.unwrap();
            release.notify_one();
            done.notified().await;
            assert_eq!(stock_of(&set.direct, "pot").await, 5, "{strategy:?}");
            assert_eq!(order_count(&set.db.pool).await, 1);
            let void = set.direct.order(request.order_id()).await.unwrap();
            assert_eq!((void.status, void.lines.len()), (OrderStatus::Void, 0));
            let closed = set.shop.checkout(request).await.unwrap_err();
            assert_eq!(
                (closed.code(), closed.http_status()),
                ("invalid-order-state", 409)
            );
            assert_books(&set.db.pool).await;
        }
    }
}

/// The first attempt's `COMMIT` is on its way, with the product locked: the second waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_is_waited_for() {
    for request in carts() {
        let set = Setting::new(Strategy::Pessimistic).await;
        let (release, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        set.proxy
            .trap(b"COMMIT\0", Cut::Late(release.clone(), done.clone()));
        let buyer = set.spawn(&request);
        until_somebody_waits(&set.db).await;
        release.notify_one();
        done.notified().await;
        let order = buyer.await.unwrap().unwrap();
        assert!(order.replayed && order.id == request.order_id());
        assert_eq!(
            (
                stock_of(&set.direct, "pot").await,
                order_count(&set.db.pool).await
            ),
            (0, 1)
        );
        assert_books(&set.db.pool).await;
    }
}

/// A policy without a second attempt can't look, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_that_stays_unknown_is_reported_as_such() {
    let set = Setting::new(Strategy::Guarded).await;
    let shop = set
        .shop
        .clone()
        .with_policy(RetryPolicy::new().with_max_attempts(1));
    let request = cart(&[("pot", 1)]);
    set.trap(&request, Cut::Reply);
    let unknown = shop.checkout(request.clone()).await.unwrap_err();
    assert!(unknown.is_unknown(), "{unknown:?}");
    assert_eq!(
        (unknown.http_status(), unknown.code()),
        (503, "unknown-outcome")
    );
    assert_eq!(
        set.direct.order(request.order_id()).await.unwrap().id,
        request.order_id(),
        "it did take effect"
    );
    assert!(
        set.direct.checkout(request).await.unwrap().replayed,
        "and asking again is safe"
    );
    assert_books(&set.db.pool).await;
}

/// Changes that have no order carry a token of their own.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_product_take_effect_once() {
    for cut in [Cut::Before, Cut::Reply] {
        let set = Setting::new(Strategy::Guarded).await;
        let (shop, proxy) = (&set.shop, &set.proxy);
        proxy.trap(b"jug", cut.clone());
        let jug = shop.add_product(new_product("jug", 5)).await.unwrap();
        assert_eq!((jug.version.get(), proxy.armed()), (1, false), "{cut:?}");

        let mut changed = jug.clone();
        changed.price = pesos(2_000);
        proxy.trap(b"jug", cut.clone());
        let edited = shop.update_product(&changed).await.unwrap();
        assert_eq!(
            (edited.revision.get(), edited.price, proxy.armed()),
            (2, pesos(2_000), false),
            "{cut:?}"
        );

        proxy.trap(b"jug", cut.clone());
        let delivery = Adjustment::new(sku("jug"), 3, "delivery").unwrap();
        let adjusted = shop.adjust_stock(delivery).await.unwrap();
        assert_eq!(
            (adjusted.stock, proxy.armed()),
            (stock(8), false),
            "{cut:?}"
        );

        proxy.trap(b"jug", cut.clone());
        let counted = shop
            .count_stock(&sku("jug"), adjusted.version, stock(7), "day")
            .await
            .unwrap();
        assert_eq!(
            (counted.stock, counted.version.get(), proxy.armed()),
            (stock(7), 4, false),
            "{cut:?}"
        );

        proxy.trap(b"jug", cut.clone());
        shop.retire_product(&sku("jug"), counted.version)
            .await
            .unwrap();
        assert!(
            !proxy.armed()
                && set
                    .direct
                    .product(&sku("jug"))
                    .await
                    .unwrap_err()
                    .is_not_found()
        );
        assert_books(&set.db.pool).await;
    }
}

/// A relative change that was refused after an unknown outcome may still arrive: it is not called a
/// refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_shrinkage_refused_after_an_unknown_outcome_stays_unknown() {
    let set = Setting::new(Strategy::Guarded).await;
    let (release, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let theft = Adjustment::new(sku("pot"), -1, "theft").unwrap();
    set.proxy.trap(
        theft.id().as_bytes(),
        Cut::Late(release.clone(), done.clone()),
    );
    set.direct.checkout(cart(&[("pot", 1)])).await.unwrap();
    let unknown = set.shop.adjust_stock(theft.clone()).await.unwrap_err();
    let Error::Unknown(source) = &unknown else {
        panic!("{unknown:?}")
    };
    assert!(source.is_insufficient_stock());
    release.notify_one();
    done.notified().await;
    set.direct
        .adjust_stock(Adjustment::new(sku("pot"), 1, "delivery").unwrap())
        .await
        .unwrap();
    assert_eq!(
        set.direct.adjust_stock(theft).await.unwrap().stock,
        stock(0)
    );
    assert_books(&set.db.pool).await;
}

/// Two calls of one checkout for the last unit: both get the order, never a refusal.
#[tokio::test(flavor = "multi_thread")]
async fn two_calls_of_one_checkout_for_the_last_unit() {
    let db = Db::new().await;
    for strategy in STRATEGIES {
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        for round in 0..40 {
            let (pot, mug) = (
                format!("pot-{strategy:?}-{round}"),
                format!("mug-{strategy:?}-{round}"),
            );
            add(&shop, &pot, 1).await;
            add(&shop, &mug, 1).await;
            let request = if round % 2 == 0 {
                cart(&[(&pot, 1)])
            } else {
                cart(&[(&pot, 1), (&mug, 1)])
            };
            let answers = race(&shop, vec![request.clone(); 4]).await;
            let mut firsts = 0;
            for answer in answers {
                let order = answer
                    .unwrap_or_else(|refused| panic!("{strategy:?}, round {round}: {refused:?}"));
                assert_eq!(order.id, request.order_id());
                firsts += i32::from(!order.replayed);
            }
            assert_eq!(firsts, 1, "{strategy:?}, round {round}");
        }
    }
    assert_books(&db.pool).await;
}

/// A checkout that waits for a lock while another call of it commits must look again before it
/// says no. Here the meeting is arranged, not left to chance.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_looks_a_second_time() {
    for (strategy, request) in STRATEGIES
        .into_iter()
        .flat_map(|strategy| carts().map(|cart| (strategy, cart)))
    {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        add(&shop, "pot", 1).await;
        add(&shop, "mug", 1).await;
        // The first call holds the product's lock, with its order not yet visible.
        let mut tx = db.pool.begin().await.unwrap();
        let first = shop.checkout_in(&mut tx, &request).await.unwrap();
        let second = tokio::spawn({
            let (shop, request) = (shop.clone(), request.clone());
            async move { shop.checkout(request).await }
        });
        until_somebody_waits(&db).await;
        tx.commit().await.unwrap();
        let second = second
            .await
            .unwrap()
            .unwrap_or_else(|refused| panic!("{strategy:?}: {refused:?}"));
        assert!(second.replayed && second.id == first.id, "{strategy:?}");
        assert_books(&db.pool).await;
    }
}

/// The stock comes back while a checkout waits for the lock: it is sold.
#[tokio::test(flavor = "multi_thread")]
async fn a_restock_while_waiting_is_sold() {
    for (strategy, request) in STRATEGIES
        .into_iter()
        .flat_map(|strategy| carts().map(|cart| (strategy, cart)))
    {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        add(&shop, "pot", 1).await;
        add(&shop, "mug", 1).await;
        let mut tx = db.pool.begin().await.unwrap();
        let sold = cart(&[("pot", 1)]);
        shop.checkout_in(&mut tx, &sold).await.unwrap();
        shop.adjust_stock_in(
            &mut tx,
            &Adjustment::new(sku("pot"), 1, "delivery").unwrap(),
        )
        .await
        .unwrap();
        let waiting = tokio::spawn({
            let shop = shop.clone();
            async move { shop.checkout(request).await }
        });
        until_somebody_waits(&db).await;
        tx.commit().await.unwrap();
        waiting
            .await
            .unwrap()
            .unwrap_or_else(|refused| panic!("{strategy:?}: {refused:?}"));
        assert_eq!(stock_of(&shop, "pot").await, 0);
        assert_books(&db.pool).await;
    }
}

pub async fn until_somebody_waits(db: &Db) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiting)
        .fetch_one(&db.pool)
        .await
        .unwrap()
        == 0
    {
        assert!(
            std::time::Instant::now() < deadline,
            "nobody came to wait for the lock"
        );
        tokio::task::yield_now().await;
    }
}

/// The whole of a one-line checkout: one statement, and its answer is all that is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_guarded_checkout_of_one_line_is_one_round_trip() {
    let db = Db::new().await;
    let proxy = Proxy::new(&db).await;
    let shop = PgInventory::new(proxy.pool(1).await);
    add(&PgInventory::new(db.pool.clone()), "pot", 10).await;
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    // The first one prepared the statement. Now one may pass, and then the wire is dead: whatever
    // the checkout needs must be in it.
    let (executes, queries, parses) = proxy.counts();
    proxy.allow(1);
    let order = shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    assert!(!order.replayed);
    assert_eq!(proxy.counts(), (executes + 1, queries, parses));
    assert_eq!(stock_of(&PgInventory::new(db.pool.clone()), "pot").await, 8);
}

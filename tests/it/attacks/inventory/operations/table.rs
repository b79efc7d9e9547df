//! The table of operations: a row for every method of `Inventory`, of the outbox and of the values around an
//! inventory, and one for each scenario of it with statements of its own.

use optilock::{
    cache::CachedStock,
    inventory::{
        Adjustment, ArchivePosition, AuditPosition, Error, FeedPosition, Inventory, Janitor,
        OrderFilter, OrderStatus, OrderStep, OutboxPosition,
    },
};

use super::{
    Completion, LIMIT, OnRepeat, Operation, Shop, Special,
    fixture::{
        Fixture,
        Setup::{
            Announced, CancelledBehindExpiredHolds, Empty, ExpiredHolds, ExpiredReservation,
            Ordered, Paused, Reserved, Retired, Stocked,
        },
        Status::{Cancelled, Failed, Paid, Pending},
    },
    requests::{
        adjustment, age, at, back, cart, entry, failed_order, keyed, limit, longest, new, page,
        pot, reserve,
    },
};
use crate::attacks::inventory::shop::batched;
use crate::support::goods::stock;

fn done<T>(answer: Result<T, Error>) -> Result<Completion, Error> {
    answer.map(|_| Completion::Done)
}

/// The place at which an archive of everything begins to close the ledgers.
fn ledgers() -> ArchivePosition {
    let position = "32472144000000000/movements/".parse();
    position.expect("a position")
}

fn cleaned(rows: u64) -> Completion {
    match rows {
        0 => Completion::NothingToDo,
        _ => Completion::Done,
    }
}

macro_rules! operations {
    (@after unchanged) => { None };
    (@after $after:literal) => { Some($after) };
    (@on_repeat) => { OnRepeat::Replayed };
    (@on_repeat $code:literal) => { OnRepeat::Refused($code) };
    (@in) => { None };
    (@in |$inner:ident, $tx:ident, $of:ident| $run_in:expr) => {
        Some(|$inner, $tx, $of| Box::pin(async move { $run_in }))
    };
    ($(
        $method:ident $scenario:literal $(($($special:ident)+))?
        @ $setup:expr => $after:tt $(on_repeat $code:literal)?,
        |$shop:ident, $fixture:ident| $run:expr
        $(, in |$inner:ident, $tx:ident, $of:ident| $run_in:expr)?;
    )*) => {
        &[$(Operation {
            method: stringify!($method),
            scenario: $scenario,
            special: &[$($(Special::$special),+)?],
            setup: $setup,
            after: operations!(@after $after),
            on_repeat: operations!(@on_repeat $($code)?),
            run: |$shop, $fixture| Box::pin(async move { $run }),
            run_in: operations!(@in $(|$inner, $tx, $of| $run_in)?),
        },)*]
    };
}

/// Movements are described as `[kind:delta ..]`, products as `stock-reserved`.
pub const OPERATIONS: &[Operation] = operations! {
    add_product "" @ Empty => "pot 10-0 [8:10]" on_repeat "already-exists",
        |shop, fixture| done(shop.add_product(new(fixture)).await),
        in |shop, tx, fixture| done(shop.add_product_in(tx, &new(fixture)).await);
    add_product "retired" @ Retired => "mug 10-0 [8:10], pot 10-0 r2 [8:10 9:0 8:0]" on_repeat "already-exists",
        |shop, fixture| done(shop.add_product(new(fixture)).await),
        in |shop, tx, fixture| done(shop.add_product_in(tx, &new(fixture)).await);
    add_products "" (OfPostgres) @ Empty => "pot 10-0 [8:10]",
        |shop, fixture| done(shop.pg.add_products(&[new(fixture)]).await),
        in |shop, tx, fixture| done(shop.add_products_in(tx, &[new(fixture)]).await);
    product "" @ Stocked => unchanged,
        |shop, fixture| done(shop.product(&fixture.pot()).await),
        in |shop, tx, fixture| done(shop.product_in(tx, &fixture.pot()).await);
    products "" @ Stocked => unchanged,
        |shop, fixture| done(shop.products(page(fixture)).await.inspect(|found| assert!(!found.is_empty()))),
        in |shop, tx, fixture| done(shop.products_in(tx, &page(fixture)).await);
    products_of "" @ Stocked => unchanged,
        |shop, fixture| done(shop.products_of(&[fixture.pot(), fixture.mug()]).await.inspect(|found| assert_eq!(found.len(), 2))),
        in |shop, tx, fixture| done(shop.products_of_in(tx, &[fixture.pot(), fixture.mug()]).await);
    product_at "" @ Stocked => unchanged,
        |shop, fixture| done(shop.product_at(&fixture.pot(), at(1)).await),
        in |shop, tx, fixture| done(shop.product_at_in(tx, &fixture.pot(), at(1)).await);
    update_product "" @ Stocked => "mug 10-0 [8:10], pot 10-0 r2 [8:10 7:0]" on_repeat "conflict",
        |shop, fixture| done(shop.update_product(&pot(fixture, 1)).await),
        in |shop, tx, fixture| done(shop.update_product_in(tx, &pot(fixture, 1)).await);
    retire_product "" @ Stocked => "mug 10-0 [8:10], pot 10-0 retired [8:10 9:0]" on_repeat "not-found",
        |shop, fixture| done(shop.retire_product(&fixture.pot(), at(1)).await),
        in |shop, tx, fixture| done(shop.retire_product_in(tx, &fixture.pot(), at(1)).await);
    pause "" @ Stocked => "mug 10-0 [8:10], pot 10-0 paused [8:10 13:0]",
        |shop, fixture| done(shop.pause(&fixture.pot()).await),
        in |shop, tx, fixture| done(shop.pause_in(tx, &fixture.pot()).await);
    resume "" @ Paused => "mug 10-0 [8:10], pot 10-0 [8:10 13:0 14:0]",
        |shop, fixture| done(shop.resume(&fixture.pot()).await),
        in |shop, tx, fixture| done(shop.resume_in(tx, &fixture.pot()).await);
    adjust_stock "" @ Stocked => "mug 10-0 [8:10], pot 13-0 [8:10 3:3]",
        |shop, fixture| done(shop.adjust_stock(adjustment(fixture, 3)).await),
        in |shop, tx, fixture| done(shop.adjust_stock_in(tx, &adjustment(fixture, 3)).await);
    adjust_stock "past expired holds" @ ExpiredHolds
        => "mug 10-0 [8:10 4:0 4:0], pot 7-0 [8:10 4:0 4:0 3:-3]",
        |shop, fixture| done(shop.adjust_stock(Adjustment::new(fixture.pot(), -3, "lost").unwrap().with_id(fixture.reservation.uuid())).await),
        in |shop, tx, fixture| done(shop.adjust_stock_in(tx, &Adjustment::new(fixture.pot(), -3, "lost").unwrap().with_id(fixture.reservation.uuid())).await);
    count_stock "" @ Stocked => "mug 10-0 [8:10], pot 7-0 [8:10 6:-3]" on_repeat "conflict",
        |shop, fixture| done(shop.count_stock(&fixture.pot(), at(1), stock(7), "counted").await),
        in |shop, tx, fixture| done(shop.count_stock_in(tx, &fixture.pot(), at(1), stock(7), "counted").await);
    checkout "" (ByStrategy) @ Stocked => "mug 10-0 [8:10], order 0 v1 [pot:2], pot 8-0 [8:10 1:-2]",
        |shop, fixture| done(shop.checkout(cart(fixture, 2, 0)).await),
        in |shop, tx, fixture| done(shop.checkout_in(tx, &cart(fixture, 2, 0)).await);
    checkout "two lines and a key" (ByStrategy) @ Stocked
        => "mug 9-0 [8:10 1:-1], order 0 v1 key [mug:1 pot:2], pot 8-0 [8:10 1:-2]",
        |shop, fixture| done(shop.checkout(keyed(fixture)).await),
        in |shop, tx, fixture| done(shop.checkout_in(tx, &keyed(fixture)).await);
    checkout "from a reservation" (ByStrategy) @ Reserved
        => "hold mug:1 0 s1, hold pot:2 0 s1, mug 9-0 [8:10 4:0 1:-1], order 0 v1 [mug:1 pot:2], pot 8-0 [8:10 4:0 1:-2]",
        |shop, fixture| done(shop.checkout(cart(fixture, 2, 1).with_reservation(fixture.reservation)).await),
        in |shop, tx, fixture| done(shop.checkout_in(tx, &cart(fixture, 2, 1).with_reservation(fixture.reservation)).await);
    checkout "past expired holds" (ByStrategy) @ ExpiredHolds
        => "mug 10-0 [8:10 4:0 4:0], order 0 v1 [pot:2], pot 8-0 [8:10 4:0 4:0 1:-2]",
        |shop, fixture| done(shop.checkout(cart(fixture, 2, 0)).await),
        in |shop, tx, fixture| done(shop.checkout_in(tx, &cart(fixture, 2, 0)).await);
    checkout "with the outbox" (ByStrategy WithOutbox) @ Stocked => "entry, mug 10-0 [8:10], order 0 v1 [pot:2], pot 8-0 [8:10 1:-2]",
        |shop, fixture| done(shop.checkout(cart(fixture, 2, 0)).await),
        in |shop, tx, fixture| done(shop.checkout_in(tx, &cart(fixture, 2, 0)).await);
    checkout "two lines with the outbox" (WithOutbox) @ Stocked
        => "entry, mug 9-0 [8:10 1:-1], order 0 v1 [mug:1 pot:2], pot 8-0 [8:10 1:-2]",
        |shop, fixture| done(shop.checkout(cart(fixture, 2, 1)).await),
        in |shop, tx, fixture| done(shop.checkout_in(tx, &cart(fixture, 2, 1)).await);
    checkout "from a reservation with the outbox" (WithOutbox) @ Reserved
        => "entry, hold mug:1 0 s1, hold pot:2 0 s1, mug 9-0 [8:10 4:0 1:-1], order 0 v1 [mug:1 pot:2], pot 8-0 [8:10 4:0 1:-2]",
        |shop, fixture| done(shop.checkout(cart(fixture, 2, 1).with_reservation(fixture.reservation)).await),
        in |shop, tx, fixture| done(shop.checkout_in(tx, &cart(fixture, 2, 1).with_reservation(fixture.reservation)).await);
    checkout "with a hook" (WithHook) @ Stocked
        => "mug 9-0 [8:10 1:-1], order 0 v1 key [mug:1 pot:2], pot 8-0 [8:10 1:-2]",
        |shop, fixture| done(shop.checkout(keyed(fixture)).await),
        in |shop, tx, fixture| done(shop.checkout_in(tx, &keyed(fixture)).await);
    order "" @ Ordered(Pending) => unchanged,
        |shop, fixture| done(shop.order(fixture.order).await),
        in |shop, tx, fixture| done(shop.order_in(tx, fixture.order).await);
    orders "" @ Ordered(Pending) => unchanged,
        |shop, fixture| done(shop.orders(OrderFilter::all(), page(fixture)).await.inspect(|found| assert!(!found.is_empty()))),
        in |shop, tx, fixture| done(shop.orders_in(tx, &OrderFilter::all(), &page(fixture)).await);
    mark_paid "" @ Ordered(Pending) => "mug 9-0 [8:10 1:-1], order 2 v2 key [mug:1 pot:2], pot 8-0 [8:10 1:-2]",
        |shop, fixture| done(shop.mark_paid(fixture.order).await.inspect(|order| assert_eq!(order.status, OrderStatus::Paid))),
        in |shop, tx, fixture| done(shop.mark_paid_in(tx, fixture.order).await);
    mark_payment_failed "" @ Ordered(Pending) => "mug 9-0 [8:10 1:-1], order 1 v2 key [mug:1 pot:2], pot 8-0 [8:10 1:-2]",
        |shop, fixture| done(shop.mark_payment_failed(fixture.order).await),
        in |shop, tx, fixture| done(shop.mark_payment_failed_in(tx, fixture.order).await);
    cancel "" @ Ordered(Failed) => "mug 10-0 [8:10 1:-1 2:1], order 3 v2 key [mug:1 pot:2], pot 10-0 [8:10 1:-2 2:2]",
        |shop, fixture| done(shop.cancel(fixture.order, "late").await),
        in |shop, tx, fixture| done(shop.cancel_in(tx, fixture.order, "late").await);
    revive "" @ Ordered(Cancelled)
        => "mug 9-0 [8:10 1:-1 2:1 12:-1], order 0 v2 key [mug:1 pot:2], pot 8-0 [8:10 1:-2 2:2 12:-2]",
        |shop, fixture| done(shop.revive(fixture.order).await),
        in |shop, tx, fixture| done(shop.revive_in(tx, fixture.order).await);
    revive "past expired holds" @ CancelledBehindExpiredHolds
        => "mug 9-0 [8:10 1:-1 2:1 4:0 4:0 12:-1], order 0 v2 key [mug:1 pot:2], pot 8-0 [8:10 1:-2 2:2 4:0 4:0 12:-2]",
        |shop, fixture| done(shop.revive(fixture.order).await),
        in |shop, tx, fixture| done(shop.revive_in(tx, fixture.order).await);
    step "" @ Ordered(Failed) => "mug 10-0 [8:10 1:-1 2:1], order 3 v2 key [mug:1 pot:2], pot 10-0 [8:10 1:-2 2:2]",
        |shop, fixture| done(shop.step(OrderStep::cancel(fixture.order, "late").expecting_version(failed_order(fixture))).await),
        in |shop, tx, fixture| done(shop.step_in(tx, &OrderStep::cancel(fixture.order, "late").expecting_version(failed_order(fixture))).await);
    return_items "" @ Ordered(Paid)
        => "mug 9-0 [8:10 1:-1], order 2 v2 key [mug:1 pot:2-1], pot 9-0 [8:10 1:-2 11:1], return 1",
        |shop, fixture| done(shop.return_items(back(fixture)).await),
        in |shop, tx, fixture| done(shop.return_items_in(tx, &back(fixture)).await);
    cleanup_failed_orders "" @ Ordered(Pending)
        => "mug 10-0 [8:10 1:-1 2:1], order 3 v2 key [mug:1 pot:2], pot 10-0 [8:10 1:-2 2:2]",
        |shop, fixture| shop.cleanup_failed_orders(age(fixture)).await.map(|done| cleaned(done.orders));
    cleanup_idempotency_keys "" @ Ordered(Paid)
        => "mug 9-0 [8:10 1:-1], order 2 v1 [mug:1 pot:2], pot 8-0 [8:10 1:-2]",
        |shop, fixture| shop.cleanup_idempotency_keys(age(fixture)).await.map(cleaned);
    cleanup_reservations "" @ ExpiredReservation
        => "hold mug:1 1 s3, hold pot:2 2 s3, mug 10-0 [8:10 4:0 5:0], pot 10-0 [8:10 4:0 5:0]",
        |shop, _fixture| shop.cleanup_reservations().await.map(|done| cleaned(done.holds));
    run_once "" (OfPostgres) @ Ordered(Pending)
        => "mug 10-0 [8:10 1:-1 2:1], order 3 v2 key [mug:1 pot:2], pot 10-0 [8:10 1:-2 2:2]",
        |shop, fixture| Janitor::new(&shop.pg).with_unpaid_after(age(fixture)).run_once().await.map(|done| cleaned(done.cleanup.orders));
    display "" (OfPostgres) @ Stocked => unchanged,
        |shop, fixture| done(CachedStock::new(&shop.pg).display(&fixture.pot()).await);
    reserve "" (ByStrategy) @ Stocked
        => "hold mug:1 1 s0, hold pot:2 2 s0, mug 10-1 [8:10 4:0], pot 10-2 [8:10 4:0]",
        |shop, fixture| done(shop.reserve(reserve(fixture)).await),
        in |shop, tx, fixture| done(shop.reserve_in(tx, &reserve(fixture)).await);
    reserve "past expired holds" (ByStrategy) @ ExpiredHolds
        => "hold mug:1 1 s0, hold pot:2 2 s0, mug 10-1 [8:10 4:0 4:0 4:0], pot 10-2 [8:10 4:0 4:0 4:0]",
        |shop, fixture| done(shop.reserve(reserve(fixture)).await),
        in |shop, tx, fixture| done(shop.reserve_in(tx, &reserve(fixture)).await);
    reservation "" @ Reserved => unchanged,
        |shop, fixture| done(shop.reservation(fixture.reservation).await),
        in |shop, tx, fixture| done(shop.reservation_in(tx, fixture.reservation).await);
    extend "" @ Reserved
        => "hold mug:1 1 s0 long, hold pot:2 2 s0 long, mug 10-1 [8:10 4:0], pot 10-2 [8:10 4:0]",
        |shop, fixture| done(shop.extend(fixture.reservation, longest(fixture, 7_200)).await),
        in |shop, tx, fixture| done(shop.extend_in(tx, fixture.reservation, longest(fixture, 7_200)).await);
    release "" @ Reserved
        => "hold mug:1 1 s2, hold pot:2 2 s2, mug 10-0 [8:10 4:0 10:0], pot 10-0 [8:10 4:0 10:0]",
        |shop, fixture| done(shop.release(fixture.reservation).await),
        in |shop, tx, fixture| done(shop.release_in(tx, fixture.reservation).await);
    movements "" @ Stocked => unchanged,
        |shop, fixture| done(shop.movements(&fixture.pot(), page(fixture)).await.inspect(|found| assert!(!found.is_empty()))),
        in |shop, tx, fixture| done(shop.movements_in(tx, &fixture.pot(), &page(fixture)).await);
    outbox_since "" (OfPostgres) @ Announced => unchanged,
        |shop, fixture| done(shop.pg.outbox_since(&OutboxPosition::START, limit(fixture)).await.inspect(|found| assert!(!found.entries.is_empty()))),
        in |shop, tx, fixture| done(shop.outbox_since_in(tx, &OutboxPosition::START, limit(fixture)).await);
    acknowledge_outbox "" (OfPostgres) @ Announced => "mug 9-0 [8:10 1:-1], order 0 v1 key [mug:1 pot:2], pot 8-0 [8:10 1:-2]",
        |shop, fixture| done(shop.pg.acknowledge_outbox(&entry(fixture)).await),
        in |shop, tx, fixture| done(shop.acknowledge_outbox_in(tx, &entry(fixture)).await);
    movements_since "" (OfPostgres) @ Stocked => unchanged,
        |shop, fixture| done(shop.pg.movements_since(&FeedPosition::START, limit(fixture)).await),
        in |shop, tx, fixture| done(shop.movements_since_in(tx, &FeedPosition::START, limit(fixture)).await);
    report "" @ Ordered(Pending) => unchanged,
        |shop, fixture| done(shop.report(age(fixture)).await),
        in |shop, tx, fixture| done(shop.report_in(tx, age(fixture)).await);
    audit "" @ Reserved => unchanged,
        |shop, _fixture| done(shop.audit().await),
        in |shop, tx, _fixture| done(shop.audit_in(tx).await);
    archive "" (OfPostgres) @ Stocked => "mug 10-0 [15:10], pot 10-0 [15:10]",
        |shop, fixture| done(shop.pg.archive(&ledgers(), limit(fixture).max(10_000)).await),
        in |shop, tx, fixture| done(shop.archive_in(tx, &ledgers(), limit(fixture).max(10_000)).await);
    audit_range "" (OfPostgres) @ Reserved => unchanged,
        |shop, fixture| done(shop.pg.audit_range(&AuditPosition::START, limit(fixture)).await),
        in |shop, tx, fixture| done(shop.audit_range_in(tx, &AuditPosition::START, limit(fixture)).await);
    shutdown "" (OfPostgres) @ Stocked
        => "mug 9-0 [8:10 1:-1], order 0 v1 key [mug:1 pot:2], pot 8-0 [8:10 1:-2]",
        |shop, fixture| drained(shop, fixture).await;
};

/// Checks out in a batch and shuts the queues down. The time is more than a checkout takes.
async fn drained(shop: &Shop, fixture: &Fixture) -> Result<Completion, Error> {
    let batches = batched(&shop.pg);
    let checkout = batches.checkout(keyed(fixture));
    // The checkout is admitted first.
    let (answer, drained) = tokio::join!(biased; checkout, batches.shutdown(LIMIT));
    drained.expect("every request has its answer");
    done(answer)
}

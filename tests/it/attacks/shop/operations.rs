//! The table of operations: a row for every method of `Inventory`, and one for each way through it that
//! has statements of its own.

use std::{pin::Pin, time::Duration};

use optilock::{
    Version,
    inventory::{
        Adjustment, Checkout, Error, Inventory, Line, NewProduct, OrderFilter, OrderStatus,
        OrderStep, Page, PgInventory, Product, ReservationId, Reserve, ReturnRequest, Strategy,
    },
    sqlx::{PgConnection, PgPool},
};
use uuid::Uuid;

use super::case::{
    Case,
    Setup::{
        self, CancelledAndTaken, Expired, Held, Nothing, Ordered, Paused, Retired, Stocked, Taken,
    },
    Status::{Cancelled, Failed, Paid, Pending},
};
use crate::support::goods::{pesos, stock, units};

/// What an operation that did not fail says of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said {
    Done,
    /// A clean-up that found nothing to do.
    Nothing,
}

type Working<'a> = Pin<Box<dyn Future<Output = Result<Said, Error>> + Send + 'a>>;
/// The pool is that of the inventory.
pub type Run = for<'a> fn(&'a PgInventory, &'a PgPool, &'a Case) -> Working<'a>;
pub type RunIn = for<'a> fn(&'a PgInventory, &'a mut PgConnection, &'a Case) -> Working<'a>;

/// What the same request does for a second time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Again {
    /// It is answered as the first time, and changes nothing.
    Replayed,
    /// It is refused with this code, and changes nothing.
    Refused(&'static str),
}

pub struct Operation {
    /// Of the trait.
    pub method: &'static str,
    /// The way through it; empty for the plain one.
    pub way: &'static str,
    pub by_strategy: bool,
    pub setup: Setup,
    /// What is stored when it is done; `None`: what was stored before.
    pub after: Option<&'static str>,
    pub again: Again,
    pub run: Run,
    pub run_in: Option<RunIn>,
}

impl Operation {
    pub fn is_cleanup(&self) -> bool {
        self.method.starts_with("cleanup_")
    }

    pub const fn writes(&self) -> bool {
        self.after.is_some()
    }
}

/// An operation, by one of the strategies.
#[derive(Clone, Copy)]
pub struct Subject {
    pub operation: &'static Operation,
    pub strategy: Strategy,
}

impl Subject {
    pub fn all() -> impl Iterator<Item = Self> {
        const STRATEGIES: [Strategy; 3] = [
            Strategy::Guarded,
            Strategy::Optimistic,
            Strategy::Pessimistic,
        ];
        OPERATIONS.iter().flat_map(|operation| {
            let strategies = if operation.by_strategy { 3 } else { 1 };
            STRATEGIES[..strategies].iter().map(move |&strategy| Self {
                operation,
                strategy,
            })
        })
    }

    pub fn name(&self) -> String {
        let Operation { method, way, .. } = self.operation;
        let mut name = (*method).to_owned();
        if !way.is_empty() {
            name = format!("{name}, {way}");
        }
        if self.operation.by_strategy {
            name = format!("{name}, {:?}", self.strategy).to_lowercase();
        }
        name
    }
}

fn said<T>(answer: Result<T, Error>) -> Result<Said, Error> {
    answer.map(|_| Said::Done)
}

fn cleaned(rows: u64) -> Said {
    if rows == 0 { Said::Nothing } else { Said::Done }
}

/// The product as it was when it was read: by the setup.
fn pot(case: &Case, version: i64) -> Product {
    let mut pot = Product::new(case.pot(), "A pot", pesos(1_000));
    pot.version = at(version);
    pot
}

fn at(version: i64) -> Version {
    Version::new(version).unwrap()
}

const fn page<K>(case: &Case) -> Page<K> {
    Page::first(if case.extreme { u32::MAX } else { 10 })
}

fn age(case: &Case) -> Duration {
    if case.extreme {
        // Nothing is as old as that.
        Duration::MAX
    } else {
        Duration::from_secs(60)
    }
}

fn longest(case: &Case, usual: u64) -> Duration {
    if case.extreme {
        Reserve::MAX_DURATION
    } else {
        Duration::from_secs(usual)
    }
}

fn cart(case: &Case, pots: i64, mugs: i64) -> Checkout {
    let mut lines = vec![Line::new(case.pot(), units(pots))];
    if mugs > 0 {
        lines.push(Line::new(case.mug(), units(mugs)));
    }
    Checkout::new(lines).unwrap().with_order_id(case.order)
}

fn keyed(case: &Case) -> Checkout {
    cart(case, 2, 1)
        .with_customer(case.customer.clone())
        .with_idempotency_key(case.key.clone())
}

/// The reservation that `reserve` makes.
pub fn reservation(case: &Case) -> ReservationId {
    if case.setup == Taken {
        // Those of the setup are taken.
        Uuid::from_u128(!case.token.as_u128()).into()
    } else {
        case.reservation
    }
}

pub fn reserve(case: &Case) -> Reserve {
    Reserve::new([(case.pot(), units(2)), (case.mug(), units(1))])
        .unwrap()
        .with_reservation_id(reservation(case))
        .with_customer(case.customer.clone())
        .with_idempotency_key(case.key.clone())
        .for_duration(longest(case, 600))
}

fn adjustment(case: &Case, delta: i64) -> Adjustment {
    Adjustment::new(case.pot(), delta, "found")
        .unwrap()
        .with_id(case.token)
}

fn back(case: &Case) -> ReturnRequest {
    ReturnRequest::new(case.order, [(case.pot(), units(1))], "broken")
        .unwrap()
        .with_id(case.token)
}

macro_rules! operations {
    (@after unchanged) => { None };
    (@after $after:literal) => { Some($after) };
    (@again) => { Again::Replayed };
    (@again $code:literal) => { Again::Refused($code) };
    (@in) => { None };
    (@in |$inner:ident, $tx:ident, $of:ident| $run_in:expr) => {
        Some(|$inner, $tx, $of| Box::pin(async move { $run_in }))
    };
    ($(
        $method:ident $way:literal $(($strategy:ident))?
        @ $setup:expr => $after:tt $(again $code:literal)?,
        |$shop:ident, $case:ident| $run:expr
        $(, in |$inner:ident, $tx:ident, $of:ident| $run_in:expr)?;
    )*) => {
        &[$(Operation {
            method: stringify!($method),
            way: $way,
            by_strategy: operations!(@strategy $($strategy)?),
            setup: $setup,
            after: operations!(@after $after),
            again: operations!(@again $($code)?),
            run: |$shop, _, $case| Box::pin(async move { $run }),
            run_in: operations!(@in $(|$inner, $tx, $of| $run_in)?),
        },)*]
    };
    (@strategy) => { false };
    (@strategy by_strategy) => { true };
}

/// Movements as `[kind:delta ..]`, products as `stock-reserved`.
pub const OPERATIONS: &[Operation] = operations! {
    add_product "" @ Nothing => "pot 10-0 [8:10]" again "already-exists",
        |shop, case| said(shop.add_product(new(case)).await),
        in |shop, tx, case| said(shop.add_product_in(tx, &new(case)).await);
    add_product "retired" @ Retired => "mug 10-0 [8:10], pot 10-0 r2 [8:10 9:0 8:0]" again "already-exists",
        |shop, case| said(shop.add_product(new(case)).await),
        in |shop, tx, case| said(shop.add_product_in(tx, &new(case)).await);
    product "" @ Stocked => unchanged,
        |shop, case| said(shop.product(&case.pot()).await),
        in |shop, tx, case| said(shop.product_in(tx, &case.pot()).await);
    products "" @ Stocked => unchanged,
        |shop, case| said(shop.products(page(case)).await.inspect(|found| assert!(!found.is_empty()))),
        in |shop, tx, case| said(shop.products_in(tx, &page(case)).await);
    products_of "" @ Stocked => unchanged,
        |shop, case| said(shop.products_of(&[case.pot(), case.mug()]).await.inspect(|found| assert_eq!(found.len(), 2))),
        in |shop, tx, case| said(shop.products_of_in(tx, &[case.pot(), case.mug()]).await);
    product_at "" @ Stocked => unchanged,
        |shop, case| said(shop.product_at(&case.pot(), at(1)).await),
        in |shop, tx, case| said(shop.product_at_in(tx, &case.pot(), at(1)).await);
    update_product "" @ Stocked => "mug 10-0 [8:10], pot 10-0 r2 [8:10 7:0]" again "conflict",
        |shop, case| said(shop.update_product(&pot(case, 1)).await),
        in |shop, tx, case| said(shop.update_product_in(tx, &pot(case, 1)).await);
    retire_product "" @ Stocked => "mug 10-0 [8:10], pot 10-0 retired [8:10 9:0]" again "not-found",
        |shop, case| said(shop.retire_product(&case.pot(), at(1)).await),
        in |shop, tx, case| said(shop.retire_product_in(tx, &case.pot(), at(1)).await);
    pause "" @ Stocked => "mug 10-0 [8:10], pot 10-0 paused [8:10 13:0]",
        |shop, case| said(shop.pause(&case.pot()).await),
        in |shop, tx, case| said(shop.pause_in(tx, &case.pot()).await);
    resume "" @ Paused => "mug 10-0 [8:10], pot 10-0 [8:10 13:0 14:0]",
        |shop, case| said(shop.resume(&case.pot()).await),
        in |shop, tx, case| said(shop.resume_in(tx, &case.pot()).await);
    adjust_stock "" @ Stocked => "mug 10-0 [8:10], pot 13-0 [8:10 3:3]",
        |shop, case| said(shop.adjust_stock(adjustment(case, 3)).await),
        in |shop, tx, case| said(shop.adjust_stock_in(tx, &adjustment(case, 3)).await);
    adjust_stock "past expired holds" @ Taken
        => "mug 10-0 [8:10 4:0 4:0], pot 7-0 [8:10 4:0 4:0 3:-3]",
        |shop, case| said(shop.adjust_stock(Adjustment::new(case.pot(), -3, "lost").unwrap().with_id(case.reservation.uuid())).await),
        in |shop, tx, case| said(shop.adjust_stock_in(tx, &Adjustment::new(case.pot(), -3, "lost").unwrap().with_id(case.reservation.uuid())).await);
    count_stock "" @ Stocked => "mug 10-0 [8:10], pot 7-0 [8:10 6:-3]" again "conflict",
        |shop, case| said(shop.count_stock(&case.pot(), at(1), stock(7), "counted").await),
        in |shop, tx, case| said(shop.count_stock_in(tx, &case.pot(), at(1), stock(7), "counted").await);
    checkout "" (by_strategy) @ Stocked => "mug 10-0 [8:10], order 0 v1 [pot:2], pot 8-0 [8:10 1:-2]",
        |shop, case| said(shop.checkout(cart(case, 2, 0)).await),
        in |shop, tx, case| said(shop.checkout_in(tx, &cart(case, 2, 0)).await);
    checkout "two lines and a key" (by_strategy) @ Stocked
        => "mug 9-0 [8:10 1:-1], order 0 v1 key [mug:1 pot:2], pot 8-0 [8:10 1:-2]",
        |shop, case| said(shop.checkout(keyed(case)).await),
        in |shop, tx, case| said(shop.checkout_in(tx, &keyed(case)).await);
    checkout "from a reservation" (by_strategy) @ Held
        => "hold mug:1 0 s1, hold pot:2 0 s1, mug 9-0 [8:10 4:0 1:-1], order 0 v1 [mug:1 pot:2], pot 8-0 [8:10 4:0 1:-2]",
        |shop, case| said(shop.checkout(cart(case, 2, 1).with_reservation(case.reservation)).await),
        in |shop, tx, case| said(shop.checkout_in(tx, &cart(case, 2, 1).with_reservation(case.reservation)).await);
    checkout "past expired holds" (by_strategy) @ Taken
        => "mug 10-0 [8:10 4:0 4:0], order 0 v1 [pot:2], pot 8-0 [8:10 4:0 4:0 1:-2]",
        |shop, case| said(shop.checkout(cart(case, 2, 0)).await),
        in |shop, tx, case| said(shop.checkout_in(tx, &cart(case, 2, 0)).await);
    order "" @ Ordered(Pending) => unchanged,
        |shop, case| said(shop.order(case.order).await),
        in |shop, tx, case| said(shop.order_in(tx, case.order).await);
    orders "" @ Ordered(Pending) => unchanged,
        |shop, case| said(shop.orders(OrderFilter::all(), page(case)).await.inspect(|found| assert!(!found.is_empty()))),
        in |shop, tx, case| said(shop.orders_in(tx, &OrderFilter::all(), &page(case)).await);
    mark_paid "" @ Ordered(Pending) => "mug 9-0 [8:10 1:-1], order 2 v2 key [mug:1 pot:2], pot 8-0 [8:10 1:-2]",
        |shop, case| said(shop.mark_paid(case.order).await.inspect(|order| assert_eq!(order.status, OrderStatus::Paid))),
        in |shop, tx, case| said(shop.mark_paid_in(tx, case.order).await);
    mark_payment_failed "" @ Ordered(Pending) => "mug 9-0 [8:10 1:-1], order 1 v2 key [mug:1 pot:2], pot 8-0 [8:10 1:-2]",
        |shop, case| said(shop.mark_payment_failed(case.order).await),
        in |shop, tx, case| said(shop.mark_payment_failed_in(tx, case.order).await);
    cancel "" @ Ordered(Failed) => "mug 10-0 [8:10 1:-1 2:1], order 3 v2 key [mug:1 pot:2], pot 10-0 [8:10 1:-2 2:2]",
        |shop, case| said(shop.cancel(case.order, "late").await),
        in |shop, tx, case| said(shop.cancel_in(tx, case.order, "late").await);
    revive "" @ Ordered(Cancelled)
        => "mug 9-0 [8:10 1:-1 2:1 12:-1], order 0 v2 key [mug:1 pot:2], pot 8-0 [8:10 1:-2 2:2 12:-2]",
        |shop, case| said(shop.revive(case.order).await),
        in |shop, tx, case| said(shop.revive_in(tx, case.order).await);
    revive "past expired holds" @ CancelledAndTaken
        => "mug 9-0 [8:10 1:-1 2:1 4:0 4:0 12:-1], order 0 v2 key [mug:1 pot:2], pot 8-0 [8:10 1:-2 2:2 4:0 4:0 12:-2]",
        |shop, case| said(shop.revive(case.order).await),
        in |shop, tx, case| said(shop.revive_in(tx, case.order).await);
    step "" @ Ordered(Failed) => "mug 10-0 [8:10 1:-1 2:1], order 3 v2 key [mug:1 pot:2], pot 10-0 [8:10 1:-2 2:2]",
        |shop, case| said(shop.step(OrderStep::cancel(case.order, "late").expecting_version(at(1))).await),
        in |shop, tx, case| said(shop.step_in(tx, &OrderStep::cancel(case.order, "late").expecting_version(at(1))).await);
    return_items "" @ Ordered(Paid)
        => "mug 9-0 [8:10 1:-1], order 2 v2 key [mug:1 pot:2-1], pot 9-0 [8:10 1:-2 11:1], return 1",
        |shop, case| said(shop.return_items(back(case)).await),
        in |shop, tx, case| said(shop.return_items_in(tx, &back(case)).await);
    cleanup_failed_orders "" @ Ordered(Pending)
        => "mug 10-0 [8:10 1:-1 2:1], order 3 v2 key [mug:1 pot:2], pot 10-0 [8:10 1:-2 2:2]",
        |shop, case| shop.cleanup_failed_orders(age(case)).await.map(|done| cleaned(done.orders));
    cleanup_idempotency_keys "" @ Ordered(Paid)
        => "mug 9-0 [8:10 1:-1], order 2 v1 [mug:1 pot:2], pot 8-0 [8:10 1:-2]",
        |shop, case| shop.cleanup_idempotency_keys(age(case)).await.map(cleaned);
    cleanup_reservations "" @ Expired
        => "hold mug:1 1 s3, hold pot:2 2 s3, mug 10-0 [8:10 4:0 5:0], pot 10-0 [8:10 4:0 5:0]",
        |shop, _case| shop.cleanup_reservations().await.map(|done| cleaned(done.holds));
    reserve "" (by_strategy) @ Stocked
        => "hold mug:1 1 s0, hold pot:2 2 s0, mug 10-1 [8:10 4:0], pot 10-2 [8:10 4:0]",
        |shop, case| said(shop.reserve(reserve(case)).await),
        in |shop, tx, case| said(shop.reserve_in(tx, &reserve(case)).await);
    reserve "past expired holds" (by_strategy) @ Taken
        => "hold mug:1 1 s0, hold pot:2 2 s0, mug 10-1 [8:10 4:0 4:0 4:0], pot 10-2 [8:10 4:0 4:0 4:0]",
        |shop, case| said(shop.reserve(reserve(case)).await),
        in |shop, tx, case| said(shop.reserve_in(tx, &reserve(case)).await);
    reservation "" @ Held => unchanged,
        |shop, case| said(shop.reservation(case.reservation).await),
        in |shop, tx, case| said(shop.reservation_in(tx, case.reservation).await);
    extend "" @ Held
        => "hold mug:1 1 s0 long, hold pot:2 2 s0 long, mug 10-1 [8:10 4:0], pot 10-2 [8:10 4:0]",
        |shop, case| said(shop.extend(case.reservation, longest(case, 7_200)).await),
        in |shop, tx, case| said(shop.extend_in(tx, case.reservation, longest(case, 7_200)).await);
    release "" @ Held
        => "hold mug:1 1 s2, hold pot:2 2 s2, mug 10-0 [8:10 4:0 10:0], pot 10-0 [8:10 4:0 10:0]",
        |shop, case| said(shop.release(case.reservation).await),
        in |shop, tx, case| said(shop.release_in(tx, case.reservation).await);
    movements "" @ Stocked => unchanged,
        |shop, case| said(shop.movements(&case.pot(), page(case)).await.inspect(|found| assert!(!found.is_empty()))),
        in |shop, tx, case| said(shop.movements_in(tx, &case.pot(), &page(case)).await);
    report "" @ Ordered(Pending) => unchanged,
        |shop, case| said(shop.report(age(case)).await),
        in |shop, tx, case| said(shop.report_in(tx, age(case)).await);
    audit "" @ Held => unchanged,
        |shop, _case| said(shop.audit().await),
        in |shop, tx, _case| said(shop.audit_in(tx).await);
};

fn new(case: &Case) -> NewProduct {
    NewProduct::new(case.pot(), "A pot", pesos(1_000)).with_stock(stock(10))
}

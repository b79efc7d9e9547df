//! Sends a request to the inventory or the accounts.

use std::time::Duration;

use optilock::{
    Outcome,
    inventory::{
        Adjustment, Checkout, Error, Line, OrderId, OrderStep, ReservationId, Reserve,
        ReturnRequest,
    },
    postgres::{self, transact},
    sqlx,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::shop::{POLICY, Shop};
use crate::{
    goods::{sku, units},
    request::{Answer, Id, Request, Status, Step},
};

/// No call takes longer: its deadline, a restart of the server, and the pauses of a process that is stopped.
const LIMIT: Duration = Duration::from_secs(40);

/// How long a hold lasts, and how long it lasts after it was extended.
const HOLD: Duration = Duration::from_secs(3);
const EXTENDED: Duration = Duration::from_secs(5);

/// Sends the request and returns its answer, within the caller's patience.
pub(super) async fn send(shop: &Shop, request: &Request, patience: Option<Duration>) -> Answer {
    let limit = patience.unwrap_or(LIMIT);
    match timeout(limit, answer_of(shop, request)).await {
        Ok(Ok(())) => Answer::Done,
        Ok(Err(error)) => match error.outcome() {
            Outcome::NothingHappened => Answer::Refused(error.code().to_owned()),
            Outcome::Unknown => Answer::Unknown,
        },
        Err(_) if patience.is_some() => Answer::Dropped,
        Err(_) => Answer::Stuck,
    }
}

async fn answer_of(shop: &Shop, request: &Request) -> Result<(), Error> {
    let inventory = &*shop.inventory;
    match request {
        Request::Checkout {
            order,
            lines,
            reservation,
        } => {
            let cart = lines
                .iter()
                .map(|(name, count)| Ok(Line::new(sku(name)?, units(*count)?)));
            let mut cart = Checkout::new(cart.collect::<Result<Vec<_>, Error>>()?)?
                .with_order_id(order_id(*order))
                .with_customer("ana")
                .with_idempotency_key(key_of(*order));
            if let Some(id) = reservation {
                cart = cart.with_reservation(reservation_id(*id));
            }
            let made = inventory.checkout(cart).await?;
            assert_eq!(made.id, order_id(*order), "the answer is another order");
        }
        Request::Step { order, step } => {
            let id = order_id(*order);
            let made = inventory.step(match step {
                Step::Pay => OrderStep::mark_paid(id),
                Step::FailPayment => OrderStep::mark_payment_failed(id),
                Step::Cancel => OrderStep::cancel(id, "soak"),
                Step::Revive => OrderStep::revive(id),
            });
            let made = Status::of(made.await?.status);
            assert_eq!(made, Some(step.target()), "the answer is in another state");
        }
        Request::Return { order, token, line } => {
            let lines = [(sku(&line.0)?, units(line.1)?)];
            let request = ReturnRequest::new(order_id(*order), lines, "soak")?;
            inventory
                .return_items(request.with_id(Uuid::from_u128(*token)))
                .await?;
        }
        Request::Reserve { reservation, lines } => {
            let lines = lines
                .iter()
                .map(|(name, count)| Ok((sku(name)?, units(*count)?)));
            let request = Reserve::new(lines.collect::<Result<Vec<_>, Error>>()?)?
                .with_reservation_id(reservation_id(*reservation))
                .with_customer("ana")
                .with_idempotency_key(key_of(*reservation))
                .for_duration(HOLD);
            inventory.reserve(request).await?;
        }
        Request::Extend { reservation } => {
            inventory
                .extend(reservation_id(*reservation), EXTENDED)
                .await?;
        }
        Request::Release { reservation } => {
            inventory.release(reservation_id(*reservation)).await?;
        }
        Request::Adjust { token, line } => {
            let delivery = Adjustment::new(sku(&line.0)?, line.1, "delivery")?;
            inventory
                .adjust_stock(delivery.with_id(Uuid::from_u128(*token)))
                .await?;
        }
        Request::Transfer { token, from, to } => transfer(shop, *token, (*from, *to)).await?,
    }
    Ok(())
}

/// Moves a cent by two guarded writes of rows that were read without a lock, and stores the token in the same
/// transaction.
async fn transfer(shop: &Shop, token: Id, (from, to): (i64, i64)) -> Result<(), Error> {
    let moved = transact(&shop.pool, &POLICY, async |tx| {
        // In the order of the ids, so that two opposite transfers do not deadlock.
        let mut first = shop.accounts.get_in(tx, &from.min(to)).await?;
        let mut second = shop.accounts.get_in(tx, &from.max(to)).await?;
        let sign = if from < to { 1 } else { -1 };
        first.cents -= sign;
        second.cents += sign;
        shop.accounts.update_in(tx, &first).await?;
        shop.accounts.update_in(tx, &second).await?;
        let store = "INSERT INTO bank.transfers (id) VALUES ($1)";
        sqlx::query(store)
            .bind(Uuid::from_u128(token))
            .execute(&mut **tx)
            .await?;
        Ok::<_, postgres::Error>(())
    });
    Ok(moved.await?)
}

fn order_id(id: Id) -> OrderId {
    Uuid::from_u128(id).into()
}

fn reservation_id(id: Id) -> ReservationId {
    Uuid::from_u128(id).into()
}

fn key_of(id: Id) -> String {
    format!("key-{id:x}")
}

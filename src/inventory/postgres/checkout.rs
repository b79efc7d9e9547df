//! Checkout: one judgement, and three ways to hold the stock while it is made.
//!
//! A checkout passes four stations: [`Inventory::checkout`](crate::inventory::Inventory::checkout) checks and
//! measures the request, [`Sale::exactly_once`] makes the attempts and settles unknown outcomes,
//! [`Sale::attempt`] has the connection and the expired holds, and [`guarded`], [`compared`] or [`decided`]
//! sends the statement.

mod attempt;
mod compared;
mod decided;
mod facts;
mod guarded;
mod sell;

use sqlx::PgConnection;
use tokio::time::Instant;

use super::{
    Strategy,
    executor::{Call, Executor},
    hook::Hook,
    orders,
    reservations::expiry::{self, Expiry, Needed, Piece, Request},
};
use crate::{
    Attempt, Class, RetryPolicy, Versioned,
    inventory::{
        model::{Checkout, Error, Order, ReservationId},
        traffic::Clock,
    },
    postgres::{Failed, Work},
};

pub(crate) use attempt::State;

/// What a checkout is called in events and metrics.
pub(crate) const LABEL: &str = "checkout";

/// A checkout as one inventory makes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sale<'a> {
    pub(crate) executor: &'a Executor,
    pub(crate) strategy: Strategy,
    pub(crate) hook: &'a Hook,
    pub(crate) request: &'a Checkout,
}

impl Sale<'_> {
    /// Makes the attempts of a checkout, and settles the outcome of those that are unknown. `in_doubt`: an
    /// attempt was made before, whose outcome is unknown.
    pub(crate) async fn exactly_once(
        self,
        clock: &Clock<'_>,
        in_doubt: bool,
    ) -> Result<Order, Error> {
        let executor = self.executor;
        executor
            .run(LABEL, State::default(), &|call, attempt, _| {
                Box::pin(async move {
                    clock.attempt(attempt);
                    if in_doubt && attempt.number() == 1 {
                        call.doubt();
                    }
                    if call.look_first
                        && let Some(stored) = self.stored().await?
                    {
                        return Ok(self.request.replay(stored)?);
                    }
                    match self.attempt(call, attempt).await {
                        // A busy answer is no refusal: the same request may come again.
                        Err(refused)
                            if call.in_doubt
                                && refused.class == Class::Permanent
                                && !refused.error.is_busy() =>
                        {
                            let answer = self.settle(refused.error).await?;
                            call.in_doubt = false;
                            Ok(answer?)
                        }
                        other => other,
                    }
                })
            })
            .await
    }

    /// Makes the first attempt of a checkout, and no other.
    pub(crate) async fn once(self) -> Result<Order, Failed<Error>> {
        let mut call = Call::new(State::default());
        self.attempt(&mut call, Attempt::FIRST).await
    }

    async fn stored(self) -> Result<Option<Order>, Error> {
        let request = self.request;
        let known: Work<'_, '_, _> = &|conn, _| Box::pin(orders::known(conn, request));
        self.executor.ask(known).await
    }

    /// A refusal after an attempt whose outcome is unknown is final only when that attempt can no
    /// longer take effect: its id is used up first.
    async fn settle(self, refusal: Error) -> Result<Result<Order, Error>, Error> {
        let request = self.request;
        let known_or_void: Work<'_, '_, _> = &|conn, _| {
            Box::pin(async move {
                if orders::void(conn, request.id).await? {
                    return Ok(None);
                }
                orders::known(conn, request).await
            })
        };
        Ok(match self.executor.ask(known_or_void).await? {
            Some(stored) => request.replay(stored),
            None => Err(refusal),
        })
    }
}

/// Makes a checkout in the caller's transaction, which commits it.
pub(crate) async fn in_transaction(
    conn: &mut PgConnection,
    hook: &Hook,
    policy: &RetryPolicy,
    request: &Checkout,
) -> Result<Order, Error> {
    let since = Instant::now();
    let first = decided::decide(conn, hook, request, Expiry::new()).await?;
    expiry::until_decided(conn, policy, since, first, &Decision { hook, request }).await
}

/// A checkout whose preconditions were found to hold, but for expired holds.
struct Decision<'a> {
    hook: &'a Hook,
    request: &'a Checkout,
}

impl Request for Decision<'_> {
    type Answer = Order;

    fn needed(&self) -> Vec<Needed<'_>> {
        let lines = self.request.lines.iter();
        let needed = lines.map(|line| Needed {
            sku: &line.sku,
            units: line.quantity.get(),
            version: line.version,
        });
        needed.collect()
    }

    fn but(&self) -> Option<ReservationId> {
        self.request.reservation
    }

    async fn decide(&self, conn: &mut PgConnection, expiry: Expiry) -> Result<Piece<Order>, Error> {
        decided::behind(conn, self.hook, self.request, expiry).await
    }
}

/// The preconditions held, and nothing was written.
fn suppressed(request: &Checkout, table: &'static str) -> Error {
    Error::suppressed_in(table, Order::ENTITY, request.id)
}

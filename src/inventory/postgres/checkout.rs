//! Checkout: one judgement, and three ways to guard the stock in the meantime.
//!
//! A checkout passes four stations: [`Inventory::checkout`](crate::inventory::Inventory::checkout) checks and
//! measures the request, [`Sale::exactly_once`] makes the attempts and settles unknown outcomes,
//! [`Sale::attempt`] has the connection and handles expired holds, and [`guarded`], [`compared`] or [`decided`]
//! sends the statement.

mod attempt;
mod attempted;
mod compared;
mod decided;
mod decision;
#[cfg(test)]
mod explored;
pub(crate) mod facts;
mod guarded;
mod sale;
mod sell;

use tokio::time::Instant;

use super::{
    executor::Call,
    hook::Effects,
    orders,
    reservations::expiry::{self, Expiry},
};
use crate::{
    Attempt, RetryPolicy,
    inventory::{
        model::{Checkout, Error, Order},
        postgres::{executor::Work, schema::SchemaConnection},
        traffic::Clock,
    },
    postgres::Failed,
};

use attempt::State;
use decision::Decision;
pub(crate) use sale::Sale;

/// The name of a checkout in events and metrics.
pub(crate) const LABEL: &str = "checkout";

impl Sale<'_> {
    /// Makes the attempts of a checkout, and settles unknown outcomes. `in_doubt`: an earlier attempt had an
    /// unknown outcome.
    pub(crate) async fn exactly_once(self, clock: &Clock, in_doubt: bool) -> Result<Order, Error> {
        let executor = self.executor;
        executor
            .run(LABEL, State::default(), &|call, attempt, _| {
                Box::pin(async move {
                    clock.attempt(attempt);
                    if in_doubt && attempt.number() == 1 {
                        call.doubt();
                    }
                    let order = self.once(call, attempt).await?;
                    call.is_replay |= order.replayed;
                    Ok(order)
                })
            })
            .await
    }

    async fn once(self, call: &mut Call<State>, attempt: Attempt) -> Result<Order, Failed<Error>> {
        if call.look_first
            && let Some(stored) = self.stored().await?
        {
            return Ok(self.request.replay(stored)?);
        }
        match self.attempt(call, attempt).await {
            Err(refused) if call.must_settle(&refused) => {
                let answer = self.settle(refused.error).await?;
                call.in_doubt = false;
                Ok(answer?)
            }
            other => other,
        }
    }

    async fn stored(self) -> Result<Option<Order>, Error> {
        let request = self.request;
        let known: Work<'_, '_, _> = &|conn, _| Box::pin(orders::known(conn, request));
        self.executor.ask(known).await
    }

    /// Settles a refusal after an attempt whose outcome is unknown: it is final only when that attempt can no
    /// longer take effect, so its id is used up first.
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
    conn: &mut SchemaConnection<'_>,
    effects: &Effects,
    policy: &RetryPolicy,
    request: &Checkout,
) -> Result<Order, Error> {
    let since = Instant::now();
    let first = decided::decide(conn, effects, request, Expiry::new()).await?;
    expiry::until_decided(conn, policy, since, first, &Decision { effects, request }).await
}

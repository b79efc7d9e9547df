use sqlx::Connection;

use super::{attempted::Attempted, compared, decided, decision::Decision, guarded, sale::Sale};
use crate::{
    Attempt, Class,
    inventory::{
        model::{Error, Order, checkout::Facts},
        postgres::{
            executor::{Call, Work},
            reservations::expiry::{self, Expiry, Piece},
            strategy::Strategy,
        },
    },
    postgres::Failed,
};

/// The state that the attempts of one checkout share.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The facts that a lost race found, from which the next attempt starts.
    facts: Option<Vec<Option<Facts>>>,
    /// The expired holds that earlier attempts ended, after their commit.
    expiry: Option<Expiry>,
}

/// The first statement of an attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Locks the products in a transaction, and decides.
    Locked,
    /// Reads, judges, and writes if no product has changed.
    Compared,
    /// One line whose guard is in the statement that takes the stock.
    Guarded,
    /// All lines in one statement that locks, judges and writes.
    Together,
}

impl Sale<'_> {
    /// Makes one attempt by the inventory's strategy on one connection. A locking attempt decides under its
    /// locks in one statement, in a transaction at READ COMMITTED if the session has another level. If it needs
    /// expired holds, it continues in such transactions, each of which ends a bounded number of them.
    pub(super) async fn attempt(
        self,
        call: &mut Call<State>,
        attempt: Attempt,
    ) -> Result<Order, Failed<Error>> {
        let Self {
            executor,
            strategy,
            effects,
            request,
        } = self;
        let way = self.way(call, attempt);
        // Facts of a lost race are fresh only if no delay followed.
        let known = call.state.facts.take().filter(|_| attempt.number() == 2);
        let (known, carried) = (known.as_deref(), call.state.expiry.as_ref());
        let decision = &Decision { effects, request };
        let work: Work<'_, '_, _> = &|conn, _| {
            Box::pin(async move {
                let before = carried.cloned().unwrap_or_else(Expiry::new);
                let attempted = match way {
                    Way::Guarded => guarded::sell(conn, effects, request).await?.into(),
                    Way::Compared => compared::sell(conn, effects, request, known).await?,
                    Way::Together => decided::decide(conn, effects, request, before)
                        .await?
                        .into(),
                    Way::Locked => {
                        let looks = request.reservation.is_none() && carried.is_none();
                        if looks && strategy == Strategy::Pessimistic {
                            decided::judge_locked(conn, request).await?;
                        }
                        decided::decide(conn, effects, request, before)
                            .await?
                            .into()
                    }
                };
                match attempted {
                    Attempted::Behind(expiry) if conn.is_in_transaction() => {
                        let piece = expiry::end_and_decide(conn, decision, &expiry).await?;
                        Ok(piece.into())
                    }
                    other => Ok(other),
                }
            })
        };
        let mut lease = executor.acquire().await?;
        let attempted = if way == Way::Locked || effects.hook.is_some() || executor.is_limited() {
            executor
                .locking_attempt_on(&mut lease, attempt, work)
                .await?
        } else {
            executor.directly_on(&mut lease, work).await?
        };
        match attempted {
            Attempted::Made(order) => {
                executor.release(lease);
                Ok(order)
            }
            Attempted::Lost { conflict, facts } => {
                executor.release(lease);
                call.state.facts = Some(facts);
                Err(Failed::new(conflict.into(), Class::Conflict))
            }
            Attempted::Behind(expiry) => {
                let (since, carried) = (call.since, &mut call.state.expiry);
                let first = Piece::Behind(expiry);
                expiry::in_pieces(
                    executor, &mut lease, attempt, since, first, decision, carried,
                )
                .await
            }
        }
    }

    fn way(self, call: &Call<State>, attempt: Attempt) -> Way {
        let Self {
            strategy, request, ..
        } = self;
        match strategy {
            Strategy::Pessimistic => Way::Locked,
            _ if attempt.locking() && call.serialized => Way::Locked,
            _ if call.state.expiry.is_some() => Way::Together,
            Strategy::Optimistic if !attempt.locking() && request.reservation.is_none() => {
                Way::Compared
            }
            _ if request.lines.len() == 1 && request.reservation.is_none() => Way::Guarded,
            _ => Way::Together,
        }
    }
}

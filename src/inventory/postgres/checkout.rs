//! Checkout: one judgement, three ways to hold the stock while it is made.

use sqlx::{PgConnection, Row};

use super::{
    Call, PgInventory, Strategy, call::CHECKOUT, hook::Hook, orders, reservations, row, sale, sql,
};
use crate::{
    Attempt, Class, Conflict, Versioned,
    inventory::{Checkout, Error, Order, Product, checkout::Facts, traffic::Clock},
    postgres::Failed,
    retry::Operation,
};

impl PgInventory {
    /// All attempts of a checkout. `in_doubt`: one was made before, whose outcome is unknown.
    pub(super) async fn sell(
        &self,
        clock: &Clock<'_>,
        request: &Checkout,
        in_doubt: bool,
    ) -> Result<Order, Error> {
        request.check()?;
        self.call(CHECKOUT, (), async |call: &mut Call, attempt| {
            clock.attempt(attempt);
            if in_doubt && attempt.number() == 1 {
                call.doubt();
            }
            self.sell_once(call, attempt, request).await
        })
        .await
    }

    /// The first attempt of a checkout, and no other.
    pub(super) async fn sell_at_once(&self, request: &Checkout) -> Result<Order, Failed<Error>> {
        let mut call = Call::new(());
        self.by_strategy(&mut call, Attempt::FIRST, request).await
    }

    async fn sell_once(
        &self,
        call: &mut Call,
        attempt: Attempt,
        request: &Checkout,
    ) -> Result<Order, Failed<Error>> {
        if call.look_first {
            let known =
                self.ask(async |conn: &mut PgConnection| orders::known(conn, request).await);
            if let Some(stored) = known.await? {
                return Ok(request.replay(stored)?);
            }
        }
        match self.by_strategy(call, attempt, request).await {
            Err(refused) if call.in_doubt && refused.class == Class::Permanent => {
                let answer = self.settle(request, refused.error).await?;
                call.in_doubt = false;
                Ok(answer?)
            }
            other => other,
        }
    }

    /// By this inventory's strategy; an attempt that locks has one statement lock and decide, in a
    /// transaction at READ COMMITTED if the session's own level is in the way.
    async fn by_strategy(
        &self,
        call: &mut Call,
        attempt: Attempt,
        request: &Checkout,
    ) -> Result<Order, Failed<Error>> {
        let hook = &self.hook;
        match self.strategy {
            Strategy::Pessimistic => {
                self.locking(attempt, &mut async |conn: &mut PgConnection, _| {
                    if request.reservation.is_none() {
                        judge_locked(conn, request).await?;
                    }
                    checkout_in(conn, hook, request).await
                })
                .await
            }
            _ if attempt.locking() && call.serialized => {
                self.locking(attempt, &mut async |conn: &mut PgConnection, _| {
                    checkout_in(conn, hook, request).await
                })
                .await
            }
            Strategy::Optimistic if !attempt.locking() && request.reservation.is_none() => {
                // What a lost race found is fresh only when nobody waited since.
                let known = call.facts.take().filter(|_| attempt.number() == 2);
                let sale = self
                    .sale(attempt, &mut async |conn: &mut PgConnection, _| {
                        compare_and_set(conn, hook, request, known.as_deref()).await
                    })
                    .await?;
                match sale {
                    Sale::Made(order) => Ok(order),
                    Sale::Lost { conflict, facts } => {
                        call.facts = Some(facts);
                        Err(Failed::new(conflict.into(), Class::Conflict))
                    }
                }
            }
            _ => {
                self.sale(
                    attempt,
                    &mut async |conn: &mut PgConnection, _| match request.lines.as_slice() {
                        [_] if request.reservation.is_none() => guarded(conn, hook, request).await,
                        _ => checkout_in(conn, hook, request).await,
                    },
                )
                .await
            }
        }
    }

    /// An attempt whose statements commit by themselves, or, with a hook, together with what that does.
    async fn sale<T, F>(&self, attempt: Attempt, op: &mut F) -> Result<T, Failed<Error>>
    where
        F: for<'c> Operation<&'c mut PgConnection, Result<T, Error>>,
    {
        if self.hook.is_some() {
            self.locking(attempt, op).await
        } else {
            self.alone(attempt, op).await
        }
    }

    /// A refusal after an attempt whose outcome is unknown is final only when that attempt can no
    /// longer take effect: its id is used up first.
    async fn settle(
        &self,
        request: &Checkout,
        refusal: Error,
    ) -> Result<Result<Order, Error>, Error> {
        let stored = self.ask(async |conn: &mut PgConnection| {
            if orders::void(conn, request.id).await? {
                return Ok(None);
            }
            orders::known(conn, request).await
        });
        Ok(match stored.await? {
            Some(stored) => request.replay(stored),
            None => Err(refusal),
        })
    }
}

/// All lines in one statement that locks, judges and writes. The host's transaction commits it.
pub(super) async fn checkout_in(
    conn: &mut PgConnection,
    hook: &Hook,
    request: &Checkout,
) -> Result<Order, Error> {
    if request.reservation.is_some() {
        // An order that was made from it used it up: that one is the answer, not the refusal.
        if let Some(stored) = orders::known(conn, request).await? {
            return request.replay(stored);
        }
        reservations::admit(conn, request).await?;
    }
    let mut refusal = suppressed(request);
    for _ in 0..reservations::ROUNDS {
        let rows =
            sale::sell_many(conn, request, request.lines.iter().map(|line| line.version)).await?;
        if let Some(order) = sale::made(conn, hook, request, &rows).await? {
            return Ok(order);
        }
        // A second look in a later snapshot: another call of this request may have been the one that
        // took the last unit.
        if let Some(stored) = orders::known(conn, request).await? {
            return request.replay(stored);
        }
        // It may have been used up, or released, while this one waited.
        reservations::admit(conn, request).await?;
        let mut facts = sale::facts_of(&rows)?;
        match request.judge(&facts) {
            Ok(()) => return Err(suppressed(request)),
            Err(short @ Error::InsufficientStock(_)) => refusal = short,
            Err(other) => return Err(other),
        }
        let expired =
            reservations::expired(conn, &sale::skus(request), request.reservation).await?;
        for (facts, expired) in facts.iter_mut().zip(expired) {
            if let Some(facts) = facts {
                facts.expired = expired;
            }
        }
        request.judge(&facts)?;
        reservations::lapse(conn, &sale::skus(request)).await?;
    }
    Err(refusal)
}

/// One line, one statement, one round trip: the guard is in the `UPDATE`'s own `WHERE`.
async fn guarded(conn: &mut PgConnection, hook: &Hook, request: &Checkout) -> Result<Order, Error> {
    let line = &request.lines[0]; // a checkout has at least one line
    if let Some(order) = sale::sell_one(conn, hook, request, line.version).await? {
        return Ok(order);
    }
    let (facts, taken) = sale::facts(conn, request).await?;
    if !taken && let Err(refusal) = request.judge(&facts) {
        return Err(refusal);
    }
    // The stock came back between the two statements, or will when what has run out is lapsed, or the
    // order is there: decide under the lock.
    checkout_in(conn, hook, request).await
}

enum Sale {
    Made(Order),
    Lost {
        conflict: Conflict,
        facts: Vec<Option<Facts>>,
    },
}

/// Read, judge, and write only if every product is still at the version that was read.
async fn compare_and_set(
    conn: &mut PgConnection,
    hook: &Hook,
    request: &Checkout,
    known: Option<&[Option<Facts>]>,
) -> Result<Sale, Error> {
    let read = match known {
        Some(known) => known.to_vec(),
        None => {
            let (read, taken) = sale::glance(conn, request).await?;
            if taken {
                return replay(conn, hook, request).await.map(Sale::Made);
            }
            read
        }
    };
    if request.judge(&read).is_err() {
        // Unless something has run out, or the order is there.
        let (all, taken) = sale::facts(conn, request).await?;
        if !taken {
            request.judge(&all)?;
        }
        return checkout_in(conn, hook, request).await.map(Sale::Made);
    }
    let versions = read.iter().map(|facts| facts.map(|facts| facts.version));
    let found = if let [_] = request.lines.as_slice() {
        let version = versions.into_iter().next().flatten();
        if let Some(order) = sale::sell_one(conn, hook, request, version).await? {
            return Ok(Sale::Made(order));
        }
        let (found, taken) = sale::glance(conn, request).await?;
        if taken {
            return replay(conn, hook, request).await.map(Sale::Made);
        }
        found
    } else {
        let rows = sale::sell_many(conn, request, versions).await?;
        if let Some(order) = sale::made(conn, hook, request, &rows).await? {
            return Ok(Sale::Made(order));
        }
        if let Some(stored) = orders::known(conn, request).await? {
            return request.replay(stored).map(Sale::Made);
        }
        sale::facts_of(&rows)?
    };
    let moved =
        request
            .lines
            .iter()
            .zip(read.iter().zip(&found))
            .find_map(|(line, pair)| match pair {
                (Some(read), Some(found)) if read.version != found.version => Some(Conflict::new(
                    Product::ENTITY,
                    line.sku.as_str(),
                    read.version,
                    found.version,
                )),
                _ => None,
            });
    match moved {
        Some(conflict) => Ok(Sale::Lost {
            conflict,
            facts: found,
        }),
        // Gone meanwhile, or a write that something suppressed.
        None => {
            request.judge(&found)?;
            Err(suppressed(request))
        }
    }
}

/// Locks the products in a statement of their own, as one would by hand, and judges.
async fn judge_locked(conn: &mut PgConnection, request: &Checkout) -> Result<(), Error> {
    let rows = sqlx::query(sql::checkout::LOCK)
        .bind(sale::skus(request))
        .fetch_all(&mut *conn)
        .await?;
    let mut rows = rows.iter().peekable();
    let mut locked = Vec::with_capacity(request.lines.len());
    for line in &request.lines {
        let row = match rows.peek() {
            Some(row) if row.try_get::<&str, _>("sku")? == line.sku.as_str() => rows.next(),
            _ => None,
        };
        locked.push(row.map(row::facts).transpose()?.flatten());
    }
    match request.judge(&locked) {
        // The statement that follows looks again, for what a reservation holds and for what has run out.
        Err(Error::InsufficientStock(_)) => Ok(()),
        // Refused, unless an earlier call made the order: that statement finds it.
        Err(refusal) if orders::known(conn, request).await?.is_none() => Err(refusal),
        _ => Ok(()),
    }
}

async fn replay(conn: &mut PgConnection, hook: &Hook, request: &Checkout) -> Result<Order, Error> {
    match orders::known(conn, request).await? {
        Some(stored) => request.replay(stored),
        // Its key was forgotten in between.
        None => checkout_in(conn, hook, request).await,
    }
}

/// Everything fitted, and nothing was written.
fn suppressed(request: &Checkout) -> Error {
    Error::suppressed(Order::ENTITY, request.id)
}

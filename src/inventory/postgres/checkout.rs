//! Checkout: one judgement, three ways to hold the stock while it is made.

use sqlx::{Connection, PgConnection, Row};
use tokio::time::Instant;

use super::{
    Call, PgInventory, Strategy,
    call::CHECKOUT,
    expiry::{Expiry, Needed, Piece},
    hook::Hook,
    orders, reservations, row, sale, sql,
};
use crate::{
    Attempt, Class, Conflict, RetryPolicy, Version, Versioned,
    inventory::{
        model::{Checkout, Error, Order, Product, checkout::Facts},
        traffic::Clock,
    },
    postgres::Failed,
};

impl PgInventory {
    /// All attempts of a checkout. `in_doubt`: one was made before, whose outcome is unknown.
    pub(crate) async fn sell(
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
    pub(crate) async fn sell_at_once(&self, request: &Checkout) -> Result<Order, Failed<Error>> {
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
            // A busy answer is no refusal: the same request may come again.
            Err(refused)
                if call.in_doubt
                    && refused.class == Class::Permanent
                    && !refused.error.is_busy() =>
            {
                let answer = self.settle(request, refused.error).await?;
                call.in_doubt = false;
                Ok(answer?)
            }
            other => other,
        }
    }

    /// By this inventory's strategy; an attempt that locks has one statement lock and decide, in a
    /// transaction at READ COMMITTED if the session's own level is in the way. If expired holds are in the
    /// way, it goes on in such transactions, each of which ends a piece of them.
    async fn by_strategy(
        &self,
        call: &mut Call,
        attempt: Attempt,
        request: &Checkout,
    ) -> Result<Order, Failed<Error>> {
        let hook = &self.hook;
        let way = self.way(call, attempt, request);
        // What a lost race found is fresh only without a delay since.
        let known = call.facts.take().filter(|_| attempt.number() == 2);
        let carried = call.expiry.clone();
        let before = || carried.clone().unwrap_or_else(Expiry::new);
        let first = async |conn: &mut PgConnection, _: Attempt| match way {
            Way::Locked => {
                let looks = request.reservation.is_none() && carried.is_none();
                if looks && self.strategy == Strategy::Pessimistic {
                    judge_locked(conn, request).await?;
                }
                decide(conn, hook, request, before()).await.map(Sale::from)
            }
            Way::Compared => compare_and_set(conn, hook, request, known.as_deref()).await,
            Way::Guarded => guarded(conn, hook, request).await.map(Sale::from),
            Way::Together => decide(conn, hook, request, before()).await.map(Sale::from),
        };
        let mut lease = self.acquire().await?;
        let mut sale = if way == Way::Locked || hook.is_some() {
            self.locking_on(
                &mut lease,
                attempt,
                &mut async |conn: &mut PgConnection, _| match first(conn, attempt).await? {
                    Sale::Behind(expiry) => expire_and_decide(conn, hook, request, &expiry)
                        .await
                        .map(Sale::from),
                    other => Ok(other),
                },
            )
            .await?
        } else {
            self.alone_on(
                &mut lease,
                attempt,
                &mut async |conn: &mut PgConnection, _| first(conn, attempt).await,
            )
            .await?
        };
        loop {
            match sale {
                Sale::Made(order) => return Ok(order),
                Sale::Lost { conflict, facts } => {
                    call.facts = Some(facts);
                    return Err(Failed::new(conflict.into(), Class::Conflict));
                }
                Sale::Behind(expiry) => {
                    call.expiry = Some(expiry.clone());
                    expiry.goes_on(&self.policy, call.since).map_err(last)?;
                    sale = self
                        .locking_on(
                            &mut lease,
                            attempt,
                            &mut async |conn: &mut PgConnection, _| {
                                expire_and_decide(conn, hook, request, &expiry)
                                    .await
                                    .map(Sale::from)
                            },
                        )
                        .await?;
                }
            }
        }
    }

    fn way(&self, call: &Call, attempt: Attempt, request: &Checkout) -> Way {
        match self.strategy {
            Strategy::Pessimistic => Way::Locked,
            _ if attempt.locking() && call.serialized => Way::Locked,
            _ if call.expiry.is_some() => Way::Together,
            Strategy::Optimistic if !attempt.locking() && request.reservation.is_none() => {
                Way::Compared
            }
            _ if request.lines.len() == 1 && request.reservation.is_none() => Way::Guarded,
            _ => Way::Together,
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

/// How an attempt begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In a transaction that locks the products first.
    Locked,
    Compared,
    /// One line whose guard is in the statement that takes the stock.
    Guarded,
    /// All lines in one statement that locks, judges and writes.
    Together,
}

/// The deadline has passed: no further attempt, whatever its class.
fn last(error: Error) -> Failed<Error> {
    Failed::new(error, Class::Permanent)
}

/// All lines in the caller's transaction, which commits them.
pub(crate) async fn checkout_in(
    conn: &mut PgConnection,
    hook: &Hook,
    policy: &RetryPolicy,
    request: &Checkout,
) -> Result<Order, Error> {
    let since = Instant::now();
    let mut piece = decide(conn, hook, request, Expiry::new()).await?;
    loop {
        match piece {
            Piece::Done(order) => return Ok(order),
            Piece::Behind(expiry) => {
                expiry.goes_on(policy, since)?;
                piece = expire_and_decide(conn, hook, request, &expiry).await?;
            }
        }
    }
}

/// All lines in one statement that locks, judges and writes.
async fn decide(
    conn: &mut PgConnection,
    hook: &Hook,
    request: &Checkout,
    expiry: Expiry,
) -> Result<Piece<Order>, Error> {
    if request.reservation.is_some() {
        // An order that was made from it used it up: that one is the answer, not the refusal.
        if let Some(stored) = orders::known(conn, request).await? {
            return request.replay(stored).map(Piece::Done);
        }
        if let Err(refusal) = reservations::admit(conn, request).await {
            return unless_known(conn, request, refusal).await;
        }
    }
    decide_behind(conn, hook, request, expiry).await
}

/// The refusal, unless another call of this request made the order in between.
async fn unless_known(
    conn: &mut PgConnection,
    request: &Checkout,
    refusal: Error,
) -> Result<Piece<Order>, Error> {
    match orders::known(conn, request).await? {
        Some(stored) => request.replay(stored).map(Piece::Done),
        None => Err(refusal),
    }
}

/// In a transaction: ends a piece of the expired holds that are in the way, and decides.
async fn expire_and_decide(
    conn: &mut PgConnection,
    hook: &Hook,
    request: &Checkout,
    expiry: &Expiry,
) -> Result<Piece<Order>, Error> {
    let mut expiry = expiry.clone();
    let lines = request.lines.iter();
    let needed: Vec<Needed<'_>> = lines
        .map(|line| Needed {
            sku: &line.sku,
            units: line.quantity.get(),
            version: line.version,
        })
        .collect();
    expiry.end(conn, &needed, request.reservation).await?;
    decide_behind(conn, hook, request, expiry).await
}

async fn decide_behind(
    conn: &mut PgConnection,
    hook: &Hook,
    request: &Checkout,
    expiry: Expiry,
) -> Result<Piece<Order>, Error> {
    let expected = request.lines.iter().map(|line| {
        let version = line.version.map(Version::get);
        version.map(|version| version + expiry.raised(&line.sku))
    });
    let rows = sale::sell_many(conn, request, &expected.collect::<Vec<_>>()).await?;
    if let Some(order) = sale::made(conn, hook, request, &rows).await? {
        return Ok(Piece::Done(order));
    }
    // A second look in a later snapshot: another call of this request may have been the one that
    // took the last unit.
    if let Some(stored) = orders::known(conn, request).await? {
        return request.replay(stored).map(Piece::Done);
    }
    // It may have been used up, or released, while this one waited; by this request, too.
    if let Err(refusal) = reservations::admit(conn, request).await {
        return unless_known(conn, request, refusal).await;
    }
    let mut facts = sale::locked_facts(request, &rows, &expiry)?;
    match request.judge(&facts) {
        Ok(()) => return Err(suppressed(request, "orders")),
        Err(refusal) if refusal.is_insufficient_stock() => {}
        Err(other) => return Err(other),
    }
    if !conn.is_in_transaction() {
        // The locks are gone, and another request may have ended expired holds since: all of one moment.
        let (mut fresh, _) = sale::facts(conn, request).await?;
        for (facts, row) in fresh.iter_mut().zip(&rows) {
            if let Some(facts) = facts {
                let live: i64 = row.try_get("live")?;
                facts.available = facts.available.saturating_add(live);
                facts.held = row.try_get("held")?;
                facts.raised = expiry.raised(&row.try_get("sku")?);
            }
        }
        request.judge(&fresh)?;
        return Ok(Piece::Behind(expiry));
    }
    let (skus, units) = (sale::skus(request), sale::units(request));
    let expired = reservations::expired(conn, &skus, &units, request.reservation).await?;
    for (facts, expired) in facts.iter_mut().zip(expired) {
        if let Some(facts) = facts {
            facts.expired = expired;
        }
    }
    request.judge(&facts)?;
    Ok(Piece::Behind(expiry))
}

/// One line, one statement, one round trip: the guard is in the `UPDATE`'s own `WHERE`.
async fn guarded(
    conn: &mut PgConnection,
    hook: &Hook,
    request: &Checkout,
) -> Result<Piece<Order>, Error> {
    let line = &request.lines[0]; // a checkout has at least one line
    if let Some(order) = sale::sell_one(conn, hook, request, line.version).await? {
        return Ok(Piece::Done(order));
    }
    let (facts, taken) = sale::facts(conn, request).await?;
    refused_or_behind(conn, hook, request, &facts, taken).await
}

/// After a statement that wrote nothing, by what was found since.
async fn refused_or_behind(
    conn: &mut PgConnection,
    hook: &Hook,
    request: &Checkout,
    facts: &[Option<Facts>],
    taken: bool,
) -> Result<Piece<Order>, Error> {
    if !taken {
        request.judge(facts)?;
        if request.waits_for_expiry(facts) {
            return Ok(Piece::Behind(Expiry::new()));
        }
    }
    // The stock came back between the two statements, or the order is there: decide under the lock.
    decide(conn, hook, request, Expiry::new()).await
}

enum Sale {
    Made(Order),
    Lost {
        conflict: Conflict,
        facts: Vec<Option<Facts>>,
    },
    Behind(Expiry),
}

impl From<Piece<Order>> for Sale {
    fn from(piece: Piece<Order>) -> Self {
        match piece {
            Piece::Done(order) => Self::Made(order),
            Piece::Behind(expiry) => Self::Behind(expiry),
        }
    }
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
                return replay(conn, hook, request).await;
            }
            read
        }
    };
    if request.judge(&read).is_err() {
        // Unless holds have expired, or the order is there.
        let (all, taken) = sale::facts(conn, request).await?;
        let piece = refused_or_behind(conn, hook, request, &all, taken).await?;
        return Ok(piece.into());
    }
    let versions = read.iter().map(|facts| facts.map(|facts| facts.version));
    let found = if let [_] = request.lines.as_slice() {
        let version = versions.into_iter().next().flatten();
        if let Some(order) = sale::sell_one(conn, hook, request, version).await? {
            return Ok(Sale::Made(order));
        }
        let (found, taken) = sale::glance(conn, request).await?;
        if taken {
            return replay(conn, hook, request).await;
        }
        found
    } else {
        let versions = versions.map(|version| version.map(Version::get));
        let rows = sale::sell_many(conn, request, &versions.collect::<Vec<_>>()).await?;
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
            let table = if request.lines.len() == 1 {
                "products"
            } else {
                "orders"
            };
            Err(suppressed(request, table))
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
        // The statement that follows looks again, for what a reservation holds and for what has expired.
        Err(refusal) if refusal.is_insufficient_stock() || refusal.is_not_found() => Ok(()),
        // Refused, unless an earlier call made the order: that statement finds it.
        Err(refusal) if orders::known(conn, request).await?.is_none() => Err(refusal),
        _ => Ok(()),
    }
}

async fn replay(conn: &mut PgConnection, hook: &Hook, request: &Checkout) -> Result<Sale, Error> {
    match orders::known(conn, request).await? {
        Some(stored) => request.replay(stored).map(Sale::Made),
        // Its key was forgotten in between.
        None => decide(conn, hook, request, Expiry::new())
            .await
            .map(Sale::from),
    }
}

/// Everything fitted, and nothing was written.
fn suppressed(request: &Checkout, table: &'static str) -> Error {
    Error::suppressed_in(table, Order::ENTITY, request.id)
}

//! Expired holds whose units a request needs: each attempt ends a bounded number of them.

use std::{collections::BTreeMap, time::Duration};

use sqlx::Row;
use tokio::time::Instant;

use super::counts::count;
use crate::{
    Attempt, Class, RetryPolicy, Version,
    inventory::{
        model::{Cleanup, Error, ReservationId, Sku},
        postgres::{
            executor::{Executor, Work},
            schema::SchemaConnection,
            sql,
        },
    },
    postgres::{Failed, Lease},
};

/// After this many consecutive pieces of one transaction that ended nothing although holds have expired, a trigger or
/// a policy keeps the holds. The first piece may have waited for the locks of the products while holds expired that
/// its snapshot does not have; the next one sees them, and the locks keep other requests from ending them.
const IDLE: u32 = 2;

/// An answer, or the need to continue: the holds that were ended so far are committed, and the request runs
/// again.
#[derive(Debug)]
pub(crate) enum Piece<T> {
    Done(T),
    Behind(Expiry),
}

/// A request that may need units of expired holds.
pub(crate) trait Request: Sync {
    type Answer: Send + Sync;

    /// Returns the units that it needs, each product once, sorted by SKU.
    fn needed(&self) -> Vec<Needed<'_>>;

    /// Returns the reservation whose own holds are not ended.
    fn except(&self) -> Option<ReservationId> {
        None
    }

    /// Decides after the pieces that were ended so far.
    fn decide(
        &self,
        conn: &mut SchemaConnection<'_>,
        expiry: Expiry,
    ) -> impl Future<Output = Result<Piece<Self::Answer>, Error>> + Send;
}

/// Ends a piece of the expired holds that the request needs, and decides, in a transaction. A piece that ends nothing is
/// followed by another one in the same transaction.
pub(crate) async fn end_and_decide<R: Request>(
    conn: &mut SchemaConnection<'_>,
    request: &R,
    expiry: &Expiry,
) -> Result<Piece<R::Answer>, Error> {
    let mut expiry = expiry.clone();
    loop {
        expiry
            .end(conn, &request.needed(), request.except())
            .await?;
        match request.decide(conn, expiry).await? {
            Piece::Behind(behind) if behind.idle > 0 => {
                behind.check_kept()?;
                expiry = behind;
            }
            piece => return Ok(piece),
        }
    }
}

/// Decides in the caller's transaction, which commits all pieces.
pub(crate) async fn in_transaction<R: Request>(
    conn: &mut SchemaConnection<'_>,
    policy: &RetryPolicy,
    request: &R,
) -> Result<R::Answer, Error> {
    let since = Instant::now();
    let first = request.decide(conn, Expiry::new()).await?;
    until_decided(conn, policy, since, first, request).await
}

/// Continues in the caller's transaction after the first piece.
pub(crate) async fn until_decided<R: Request>(
    conn: &mut SchemaConnection<'_>,
    policy: &RetryPolicy,
    since: Instant,
    first: Piece<R::Answer>,
    request: &R,
) -> Result<R::Answer, Error> {
    let mut piece = first;
    loop {
        match piece {
            Piece::Done(answer) => return Ok(answer),
            Piece::Behind(expiry) => {
                expiry.check_deadline(policy, since)?;
                piece = end_and_decide(conn, request, &expiry).await?;
            }
        }
    }
}

/// Makes one attempt. If the request needs expired holds, continues in transactions, each of which ends a piece
/// of them.
pub(crate) async fn attempt<R: Request>(
    executor: &Executor,
    since: Instant,
    attempt: Attempt,
    request: &R,
) -> Result<R::Answer, Failed<Error>> {
    let mut lease = executor.acquire().await?;
    let work: Work<'_, '_, _> = &|conn, _| Box::pin(request.decide(conn, Expiry::new()));
    let first = if attempt.locking() {
        executor
            .locking_attempt_on(&mut lease, attempt, work)
            .await?
    } else {
        executor.directly_on(&mut lease, work).await?
    };
    let answer = in_pieces(
        executor, &mut lease, attempt, since, first, request, &mut None,
    )
    .await?;
    executor.release(lease);
    Ok(answer)
}

/// Continues in transactions after the first piece. `carried`: the holds that they ended, after their commit.
pub(crate) async fn in_pieces<R: Request>(
    executor: &Executor,
    lease: &mut Lease,
    attempt: Attempt,
    since: Instant,
    first: Piece<R::Answer>,
    request: &R,
    carried: &mut Option<Expiry>,
) -> Result<R::Answer, Failed<Error>> {
    let mut piece = first;
    loop {
        let expiry = match piece {
            Piece::Done(answer) => return Ok(answer),
            Piece::Behind(expiry) => &*carried.insert(expiry),
        };
        // The deadline has passed: no further attempt, for any class of the error.
        expiry
            .check_deadline(executor.policy(), since)
            .map_err(|error| Failed::new(error, Class::Permanent))?;
        let next: Work<'_, '_, _> = &|conn, _| Box::pin(end_and_decide(conn, request, expiry));
        piece = executor.locking_attempt_on(lease, attempt, next).await?;
    }
}

/// The units that a request needs of a product, and the version that it expects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needed<'a> {
    pub(crate) sku: &'a Sku,
    pub(crate) units: i64,
    pub(crate) version: Option<Version>,
}

/// The expired holds that a request has ended so far.
#[derive(Clone, Debug)]
pub(crate) struct Expiry {
    began: Instant,
    pieces: u32,
    /// Consecutive pieces of the transaction that ended nothing.
    idle: u32,
    /// Versions that these pieces added to products.
    raised: BTreeMap<Sku, i64>,
}

impl Expiry {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            pieces: 0,
            idle: 0,
            raised: BTreeMap::new(),
        }
    }

    /// Returns the versions of a product that the pieces of this request added, which are no change by another
    /// request.
    pub(crate) fn raised(&self, sku: &Sku) -> i64 {
        self.raised.get(sku).copied().unwrap_or_default()
    }

    /// Ends the next piece, without the holds of one reservation.
    pub(crate) async fn end(
        &mut self,
        conn: &mut SchemaConnection<'_>,
        needed: &[Needed<'_>],
        except: Option<ReservationId>,
    ) -> Result<Cleanup, Error> {
        let expected = |line: &Needed<'_>| {
            let version = line.version.map(Version::get);
            version.map(|version| version + self.raised(line.sku))
        };
        let row = sqlx::query(conn.sql(sql::reservations::EXPIRE))
            .bind(needed.iter().map(|line| line.sku).collect::<Vec<_>>())
            .bind(needed.iter().map(|line| line.units).collect::<Vec<_>>())
            .bind(needed.iter().map(expected).collect::<Vec<_>>())
            .bind(except.map(ReservationId::uuid))
            .fetch_one(&mut **conn)
            .await
            .map_err(|error| Error::of_several(error, "hold", "that has expired"))?;
        let ended = count(&row)?;
        for sku in row.try_get::<Vec<Sku>, _>("changed")? {
            *self.raised.entry(sku).or_default() += 1;
        }
        self.pieces += 1;
        self.idle = if ended.holds == 0 { self.idle + 1 } else { 0 };
        Ok(ended)
    }

    /// Refuses a further piece of the transaction if something keeps the expired holds.
    pub(crate) fn check_kept(&self) -> Result<(), Error> {
        if self.idle >= IDLE {
            return Err(Error::suppressed_in("holds", "hold", "that has expired"));
        }
        Ok(())
    }

    /// Refuses a further piece if the request, which began at `since`, has passed its deadline.
    pub(crate) fn check_deadline(&self, policy: &RetryPolicy, since: Instant) -> Result<(), Error> {
        match policy.deadline() {
            Some(deadline) if self.pieces > 0 && since.elapsed() >= deadline => {
                let each = self.began.elapsed() / self.pieces;
                Err(Error::busy(Some(each.max(Duration::from_millis(1)))))
            }
            _ => Ok(()),
        }
    }
}

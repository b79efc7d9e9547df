//! The entries of the outbox: reads them below the oldest transaction that may still write, and deletes them.

use std::collections::HashMap;

use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::inventory::{
    model::{Error, Order, OutboxEntry, OutboxFeed, OutboxPosition},
    postgres::{
        executor::{Executor, Work},
        orders,
        schema::SchemaConnection,
        sql,
    },
};

/// Reads a page of the entries after `position`.
pub(super) async fn since(
    conn: &mut SchemaConnection<'_>,
    position: &OutboxPosition,
    limit: u32,
) -> Result<OutboxFeed, Error> {
    let rows = sqlx::query(conn.sql(sql::outbox::SINCE))
        .bind(position.transaction)
        .bind(position.order)
        .bind(i64::from(limit.clamp(1, 1_000)))
        .fetch_all(&mut **conn)
        .await
        .map_err(Error::before)?;
    let mut positions = Vec::with_capacity(rows.len());
    for row in &rows {
        check_position(position, row)?;
        if row.try_get("restored")? {
            let why = "has entries of another server, from a dump that was restored: before the shop opens, run \
                       UPDATE optilock.outbox SET transaction_id = 1, and read from the start";
            return Err(Error::invalid("outbox", conn.rewrite(why)));
        }
        let Some(transaction) = row.try_get("transaction_id")? else {
            continue; // nothing to read yet
        };
        let order = row.try_get("order_id")?;
        positions.push(OutboxPosition { transaction, order });
    }
    let Some(next) = positions.last().copied() else {
        let (entries, next) = (Vec::new(), *position);
        return Ok(OutboxFeed { entries, next });
    };
    let ids: Vec<Uuid> = positions.iter().map(|position| position.order).collect();
    let found = orders::of(conn, &ids).await?;
    let mut found: HashMap<Uuid, Order> = found.into_iter().map(|it| (it.id.uuid(), it)).collect();
    let entries = positions.into_iter().filter_map(|position| {
        // Without its order if other code has deleted that.
        let order = found.remove(&position.order)?;
        Some(OutboxEntry { position, order })
    });
    Ok(OutboxFeed {
        entries: entries.collect(),
        next,
    })
}

/// Deletes the entries up to a position, each piece in a transaction of its own. Returns how many.
pub(super) async fn acknowledge(executor: &Executor, up_to: &OutboxPosition) -> Result<u64, Error> {
    let mut progress = Progress::default();
    loop {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(Piece::delete(conn, up_to));
        let piece = executor.locked("acknowledge outbox", work).await?;
        if progress.add(&piece, up_to)? {
            return Ok(progress.deleted);
        }
    }
}

/// As [`acknowledge`], in the caller's transaction.
pub(super) async fn acknowledge_in(
    conn: &mut SchemaConnection<'_>,
    up_to: &OutboxPosition,
) -> Result<u64, Error> {
    let mut progress = Progress::default();
    loop {
        let piece = Piece::delete(conn, up_to).await?;
        if progress.add(&piece, up_to)? {
            return Ok(progress.deleted);
        }
    }
}

/// The entries that one statement deleted and found.
#[derive(Clone, Copy, Debug)]
struct Piece {
    deleted: i64,
    found: i64,
}

impl Piece {
    /// The most entries of one statement.
    const LIMIT: i64 = 1_000;

    async fn delete(
        conn: &mut SchemaConnection<'_>,
        up_to: &OutboxPosition,
    ) -> Result<Self, Error> {
        let row = sqlx::query(conn.sql(sql::outbox::ACKNOWLEDGE))
            .bind(up_to.transaction)
            .bind(up_to.order)
            .bind(Self::LIMIT)
            .fetch_one(&mut **conn)
            .await
            .map_err(|error| Error::of_several(error, "outbox", up_to))?;
        check_position(up_to, &row)?;
        Ok(Self {
            deleted: row.try_get("deleted")?,
            found: row.try_get("found")?,
        })
    }
}

/// What an acknowledgement has done so far.
#[derive(Debug, Default)]
struct Progress {
    deleted: u64,
    /// Whether the piece before left entries that it had found.
    left: bool,
}

impl Progress {
    /// Returns whether it is done. It ends, as no transaction adds an entry below a position that was read.
    fn add(&mut self, piece: &Piece, up_to: &OutboxPosition) -> Result<bool, Error> {
        self.deleted += piece.deleted.unsigned_abs();
        let left = piece.deleted < piece.found;
        // Another call may have deleted them while the first piece waited; none can afterwards.
        if left && self.left && piece.deleted == 0 {
            return Err(Error::suppressed_in("outbox", "outbox", up_to));
        }
        self.left = left;
        Ok(!left && piece.deleted < Piece::LIMIT)
    }
}

/// Refuses a position that no reader of this database can have.
fn check_position(position: &OutboxPosition, row: &PgRow) -> Result<(), Error> {
    if position.transaction < row.try_get::<i64, _>("horizon")? {
        return Ok(());
    }
    let why =
        "is ahead of this database: it is that of another one, or from before a dump was restored";
    Err(Error::invalid("outbox position", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what each piece says, up to the last one.
    fn run(pieces: &[(i64, i64)]) -> (Vec<Result<bool, &'static str>>, u64) {
        let mut progress = Progress::default();
        let answers = pieces.iter().map(|&(deleted, found)| {
            let done = progress.add(&Piece { deleted, found }, &OutboxPosition::START);
            done.map_err(|error| error.code())
        });
        (answers.collect(), progress.deleted)
    }

    #[test]
    fn an_acknowledgement_ends_when_no_entry_is_left() {
        assert_eq!(run(&[(0, 0)]), (vec![Ok(true)], 0));
        assert_eq!(run(&[(7, 7)]), (vec![Ok(true)], 7));
        let pieces = [(1_000, 1_000), (1_000, 1_000), (0, 0)];
        let answers = vec![Ok(false), Ok(false), Ok(true)];
        assert_eq!(run(&pieces), (answers, 2_000));
    }

    #[test]
    fn an_acknowledgement_looks_again_after_another_one() {
        let pieces = [(0, 9), (0, 0)];
        assert_eq!(run(&pieces), (vec![Ok(false), Ok(true)], 0));
        let pieces = [(1_000, 1_000), (600, 1_000), (50, 50)];
        let answers = vec![Ok(false), Ok(false), Ok(true)];
        assert_eq!(run(&pieces), (answers, 1_650));
    }

    #[test]
    fn entries_that_stay_are_suppressed() {
        let pieces = [(1_000, 1_000), (3, 9), (0, 6)];
        let answers = vec![Ok(false), Ok(false), Err("suppressed")];
        assert_eq!(run(&pieces), (answers, 1_003));
    }
}

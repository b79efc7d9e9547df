//! Writes of many rows in one statement, with an outcome for each.

use std::collections::HashSet;

use sqlx::{
    Connection, PgConnection, Row,
    postgres::{PgArguments, PgBindIterExt, PgRow},
};

use super::{PgRepository, add, guarded::counted, outcome::WriteOutcome, unencodable};
use crate::{
    Attempt,
    postgres::{
        assertion::Broken,
        classify::is_stale_plan,
        error::{Error, ErrorKind},
        row::PgVersioned,
        transaction::{READ_COMMITTED, attempt},
    },
};

/// What [`update_all`](PgRepository::update_all) does if some of its rows can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bulk {
    /// Writes every row or none. Rows that could have been written are [`WriteOutcome::Skipped`].
    AllOrNothing,
    /// Writes every row that is current, whatever the outcome of the others.
    Each,
}

impl<T: PgVersioned> PgRepository<T> {
    /// The maximum number of rows in one call of [`update_all`](Self::update_all).
    pub const MAX_ROWS: usize = 10_000;

    /// Writes many rows in one statement, each if the database still has it at its version. Returns one
    /// [`WriteOutcome`] per row, in the order given.
    ///
    /// Rows are locked in the order of their ids, so that calls with overlapping rows wait for each
    /// other and do not deadlock. If the database aborts the statement because of the session's isolation
    /// level, it runs again at READ COMMITTED.
    ///
    /// ```no_run
    /// use optilock::postgres::{Bulk, PgRepository, WriteOutcome};
    /// # use optilock::{Version, sqlx, versioned_row};
    /// # #[derive(sqlx::FromRow)]
    /// # struct Account { id: i64, cents: i64, version: Version }
    /// # versioned_row! { Account in "accounts" { entity: "account", id: id: i64, version: version, columns: [cents] } }
    ///
    /// # async fn doc(accounts: PgRepository<Account>, changed: Vec<Account>) -> Result<(), optilock::postgres::Error> {
    /// for outcome in accounts.update_all(&changed, Bulk::Each).await? {
    ///     match outcome {
    ///         WriteOutcome::Written(account) => println!("{}: version {}", account.id, account.version),
    ///         WriteOutcome::Stale(current) => println!("{}: another writer was faster", current.id),
    ///         other => println!("{other:?}"),
    ///     }
    /// }
    /// # Ok(()) }
    /// # impl std::fmt::Debug for Account { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::TooManyRows`];
    /// - [`ErrorKind::RepeatedId`], also for ids that only the database compares as equal (`ana` and `ANA` under
    ///   a case-insensitive collation);
    /// - [`ErrorKind::Suppressed`] with [`Bulk::AllOrNothing`] if a trigger suppressed one of the writes, and in
    ///   either mode if a trigger left the version of a row unchanged;
    /// - [`ErrorKind::SchemaMismatch`] if an id names several rows;
    /// - [`ErrorKind::AlreadyExists`] if a row would take the unique key of another row;
    /// - [`ErrorKind::VersionExhausted`] if a row is at the last version;
    /// - [`ErrorKind::Unknown`] if the connection was lost during the write. With all other errors, nothing is
    ///   written.
    pub async fn update_all(&self, rows: &[T], mode: Bulk) -> Result<Vec<WriteOutcome<T>>, Error> {
        let at_once =
            async |conn: &mut PgConnection| self.update_all_directly(conn, rows, mode).await;
        let result = match self.run(at_once).await {
            Err(error) if error.kind() == ErrorKind::Serialization => {
                let mut op =
                    async |conn: &mut PgConnection, _| self.update_all_in(conn, rows, mode).await;
                attempt(&self.pool, READ_COMMITTED, Attempt::FIRST, &mut op)
                    .await
                    .map_err(|failed| failed.error.settled(failed.class))
            }
            result => result,
        };
        counted::<T, _>(result, Vec::as_slice)
    }

    /// Runs [`update_all`](Self::update_all) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`update_all`](Self::update_all). Above READ COMMITTED, [`ErrorKind::Serialization`] if a row
    /// was written since the transaction's snapshot.
    pub async fn update_all_in(
        &self,
        conn: &mut PgConnection,
        rows: &[T],
        mode: Bulk,
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        let answers = self.batch(conn, rows, mode).await?;
        let mut outcomes = Outcomes::read(rows, &answers)?;
        self.explain(conn, &mut outcomes).await?;
        Ok(outcomes.finish())
    }

    /// Runs an [`update_all_in`](Self::update_all_in) that commits directly: once rows are written, no later
    /// error may say that nothing happened.
    async fn update_all_directly(
        &self,
        conn: &mut PgConnection,
        rows: &[T],
        mode: Bulk,
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        let answers = self.batch(conn, rows, mode).await?;
        let wrote = answers
            .iter()
            .any(|answer| letter(answer).ok() == Some(b'w'));
        let outcomes = Outcomes::read(rows, &answers);
        let mut outcomes = outcomes.map_err(|error| error.after(wrote))?;
        let mut explained = self.explain(conn, &mut outcomes).await;
        // The schema changed after the batch: only the question is sent again.
        if let Err(error) = &explained
            && error.as_sqlx().is_some_and(is_stale_plan)
            && conn.clear_cached_statements().await.is_ok()
        {
            explained = self.explain(conn, &mut outcomes).await;
        }
        explained.map_err(|error| error.after(wrote))?;
        Ok(outcomes.finish())
    }

    /// Sends the batch as one statement.
    async fn batch(
        &self,
        conn: &mut PgConnection,
        rows: &[T],
        mode: Bulk,
    ) -> Result<Vec<PgRow>, Error> {
        check(rows)?;
        let mut arguments = PgArguments::default();
        add(&mut arguments, rows.iter().map(T::id).bind_iter())?;
        add(&mut arguments, rows.iter().map(T::version).bind_iter())?;
        add(&mut arguments, mode == Bulk::AllOrNothing)?;
        T::bind_all(rows, &mut arguments).map_err(unencodable)?;
        sqlx::query_with(self.sql.update_all.clone(), arguments)
            .fetch_all(conn)
            .await
            .map_err(|error| failed(error, rows))
    }

    /// Reads the rows that could not be locked. What a second statement does not see either is not found.
    async fn explain(
        &self,
        conn: &mut PgConnection,
        outcomes: &mut Outcomes<'_, T>,
    ) -> Result<(), Error> {
        let missing = outcomes.missing();
        if missing.is_empty() {
            return Ok(());
        }
        let mut arguments = PgArguments::default();
        let ids = missing.iter().map(|&place| outcomes.rows[place].id());
        add(&mut arguments, ids.bind_iter())?;
        let found = sqlx::query_with(self.sql.find_all.clone(), arguments)
            .fetch_all(conn)
            .await
            .map_err(Error::before)?;
        outcomes.explain(&missing, &found)
    }
}

/// The outcomes of a batch, one per row. `None` for a row that could not be locked.
struct Outcomes<'r, T> {
    rows: &'r [T],
    outcomes: Vec<Option<WriteOutcome<T>>>,
}

impl<'r, T: PgVersioned> Outcomes<'r, T> {
    fn read(rows: &'r [T], answers: &[PgRow]) -> Result<Self, Error> {
        let mut outcomes = Vec::new();
        outcomes.resize_with(rows.len(), || None);
        for answer in answers {
            if let Some(outcome) = outcomes.get_mut(place(answer)?) {
                *outcome = Some(outcome_of(answer)?);
            }
        }
        Ok(Self { rows, outcomes })
    }

    /// Returns the places of the rows without an outcome.
    fn missing(&self) -> Vec<usize> {
        let places = 0..self.rows.len();
        places
            .filter(|&place| self.outcomes[place].is_none())
            .collect()
    }

    /// Sets the outcomes of the `missing` rows that a later statement has found.
    fn explain(&mut self, missing: &[usize], found: &[PgRow]) -> Result<(), Error> {
        for found in found {
            let current = T::from_row(found)?;
            let Some(&place) = missing.get(place(found)?) else {
                continue;
            };
            let outcome = if current.version() == self.rows[place].version() {
                WriteOutcome::Suppressed
            } else {
                WriteOutcome::Stale(current)
            };
            self.outcomes[place] = Some(outcome);
        }
        Ok(())
    }

    fn finish(self) -> Vec<WriteOutcome<T>> {
        let outcomes = self.outcomes.into_iter();
        outcomes
            .map(|outcome| outcome.unwrap_or(WriteOutcome::NotFound))
            .collect()
    }
}

/// Returns the place in the input of a row of an answer.
fn place(answer: &PgRow) -> Result<usize, Error> {
    let place: i64 = answer.try_get("optilock.ord")?;
    Ok(usize::try_from(place - 1).unwrap_or(usize::MAX))
}

fn check<T: PgVersioned>(rows: &[T]) -> Result<(), Error> {
    let most = PgRepository::<T>::MAX_ROWS;
    if rows.len() > most {
        return Err(Error::too_many_rows::<T>(rows.len(), most));
    }
    let mut seen = HashSet::with_capacity(rows.len());
    match rows.iter().find(|row| !seen.insert(row.id())) {
        Some(twice) => Err(Error::repeated::<T>(twice.id())),
        None => Ok(()),
    }
}

/// Reads the letter by which the statement states the outcome of a row.
fn letter(answer: &PgRow) -> Result<u8, Error> {
    let letter: i8 = answer.try_get("optilock.outcome")?;
    Ok(letter.cast_unsigned())
}

fn outcome_of<T: PgVersioned>(answer: &PgRow) -> Result<WriteOutcome<T>, Error> {
    let (letter, row) = (letter(answer)?, T::from_row(answer)?);
    Ok(match letter {
        b'w' => WriteOutcome::Written(row),
        b's' => WriteOutcome::Stale(row),
        b'k' => WriteOutcome::Skipped(row),
        _ => WriteOutcome::Suppressed,
    })
}

/// Returns the error of the whole statement: that of a row whose assertion failed or that is at the last
/// version, or that of the database.
fn failed<T: PgVersioned>(error: sqlx::Error, rows: &[T]) -> Error {
    let broken = Broken::of(&error).and_then(|(broken, place)| {
        let row = rows.get(usize::try_from(place).ok()?.checked_sub(1)?)?;
        Some((broken, row.id()))
    });
    match broken {
        Some((Broken::Suppressed, id)) => return Error::suppressed::<T>(id),
        Some((Broken::Several, id)) => return Error::several::<T>(id),
        Some((Broken::Repeated, id)) => return Error::repeated::<T>(id),
        None => {}
    }
    if let Some(last) = rows.iter().find(|row| row.version().next().is_none()) {
        return Error::of_write::<T>(error, last.id(), last.version());
    }
    match rows {
        [only] => Error::or_taken::<T>(error, only.id()),
        // The database does not state which row it was.
        _ => Error::or_taken::<T>(error, format_args!("(one of {})", rows.len())),
    }
}

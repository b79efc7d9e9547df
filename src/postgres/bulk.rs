//! Many rows in one statement, a verdict each.

use std::collections::HashSet;

use sqlx::{
    Connection, PgConnection, Row,
    postgres::{PgArguments, PgBindIterExt, PgRow},
};

use super::{
    Error, ErrorKind, PgRepository, PgVersioned, READ_COMMITTED, WriteOutcome,
    assertion::Broken,
    attempt, is_stale_plan,
    repository::{add, unencodable},
    write::counted,
};
use crate::Attempt;

/// What [`update_all`](PgRepository::update_all) does when some of its rows can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bulk {
    /// Writes every row or none. Rows that could have been written are [`WriteOutcome::Skipped`].
    AllOrNothing,
    /// Writes every row that is current, whatever becomes of the others.
    Each,
}

impl<T: PgVersioned> PgRepository<T> {
    /// The most rows that one call of [`update_all`](Self::update_all) takes.
    pub const MAX_ROWS: usize = 10_000;

    /// Writes many rows in one statement, each if the database still has it at its version; answers
    /// with one [`WriteOutcome`] per row, in the order given.
    ///
    /// Rows are locked in the order of their ids, so that calls with overlapping rows wait for each
    /// other and don't deadlock. Where the session's isolation level would have the database abort
    /// the statement, it runs again at READ COMMITTED, in which a lock is enough.
    ///
    /// ```no_run
    /// use optilock::postgres::{Bulk, PgRepository, WriteOutcome};
    /// # use optilock::{Version, sqlx, versioned_row};
    /// # #[derive(sqlx::FromRow)]
    /// # struct Account { id: i64, cents: i64, version: Version }
    /// # versioned_row! { Account in "accounts" { entity: "account", id: id: i64, version: version, columns: [cents] } }
    ///
    /// # async fn doc(accounts: PgRepository<Account>, changed: Vec<Account>) -> Result<(), optilock::postgres::Error> {
    /// for verdict in accounts.update_all(&changed, Bulk::Each).await? {
    ///     match verdict {
    ///         WriteOutcome::Written(account) => println!("{}: version {}", account.id, account.version),
    ///         WriteOutcome::Stale(current) => println!("{}: somebody was faster", current.id),
    ///         other => println!("{other:?}"),
    ///     }
    /// }
    /// # Ok(()) }
    /// # impl std::fmt::Debug for Account { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) } }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::TooManyRows`]; [`Error::RepeatedId`], also for ids that only the database holds to be
    /// equal (`ana` and `ANA` under a case-insensitive collation);
    /// [`Error::Suppressed`] when all or nothing was wanted and a trigger swallowed one, and in either
    /// mode when a trigger left the version of a row as it was;
    /// [`Error::SchemaMismatch`] when an id names several rows;
    /// [`Error::AlreadyExists`] when a row would take another's unique key;
    /// [`Error::VersionExhausted`] when one is at the last version. In these cases nothing is written.
    /// [`Error::Unknown`] when the connection was lost meanwhile.
    pub async fn update_all(&self, rows: &[T], mode: Bulk) -> Result<Vec<WriteOutcome<T>>, Error> {
        let at_once = async |conn: &mut PgConnection| self.update_all_alone(conn, rows, mode).await;
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

    /// [`update_all`](Self::update_all) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// As there; above READ COMMITTED [`Error::Serialization`] when a row was written since the
    /// transaction's snapshot.
    pub async fn update_all_in(
        &self,
        conn: &mut PgConnection,
        rows: &[T],
        mode: Bulk,
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        let answers = self.batch(conn, rows, mode).await?;
        let mut verdicts = verdicts_of(rows, &answers)?;
        self.explain(conn, rows, &mut verdicts).await?;
        Ok(told(verdicts))
    }

    /// [`update_all_in`](Self::update_all_in) that commits by itself: once rows are written, nothing
    /// that comes after may say that nothing happened.
    async fn update_all_alone(
        &self,
        conn: &mut PgConnection,
        rows: &[T],
        mode: Bulk,
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        let answers = self.batch(conn, rows, mode).await?;
        let wrote = answers
            .iter()
            .any(|answer| letter(answer).ok() == Some(b'w'));
        let verdicts = verdicts_of(rows, &answers);
        let mut verdicts = verdicts.map_err(|error| error.after(wrote))?;
        let mut explained = self.explain(conn, rows, &mut verdicts).await;
        // The schema changed behind the batch: the question alone is asked again.
        if let Err(error) = &explained
            && error.as_sqlx().is_some_and(is_stale_plan)
            && conn.clear_cached_statements().await.is_ok()
        {
            explained = self.explain(conn, rows, &mut verdicts).await;
        }
        explained.map_err(|error| error.after(wrote))?;
        Ok(told(verdicts))
    }

    /// The one statement.
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
            .map_err(|error| of_bulk(error, rows))
    }

    /// Rows that could not be locked are gone, unless a second statement still sees them.
    async fn explain(
        &self,
        conn: &mut PgConnection,
        rows: &[T],
        verdicts: &mut [Option<WriteOutcome<T>>],
    ) -> Result<(), Error> {
        let places: Vec<usize> = (0..rows.len())
            .filter(|&place| verdicts[place].is_none())
            .collect();
        if places.is_empty() {
            return Ok(());
        }
        let mut arguments = PgArguments::default();
        let missing = places.iter().map(|&place| rows[place].id());
        add(&mut arguments, missing.bind_iter())?;
        let found = sqlx::query_with(self.sql.find_all.clone(), arguments)
            .fetch_all(conn)
            .await
            .map_err(Error::before)?;
        for found in &found {
            let current = T::from_row(found)?;
            let Some(&place) = places.get(place(found)?) else {
                continue;
            };
            verdicts[place] = Some(if current.version() == rows[place].version() {
                WriteOutcome::Suppressed
            } else {
                WriteOutcome::Stale(current)
            });
        }
        Ok(())
    }
}

/// Where in the input a row of an answer belongs.
fn place(answer: &PgRow) -> Result<usize, Error> {
    let place: i64 = answer.try_get("optilock.ord")?;
    Ok(usize::try_from(place - 1).unwrap_or(usize::MAX))
}

/// `None` for a row that could not be locked.
fn verdicts_of<T: PgVersioned>(
    rows: &[T],
    answers: &[PgRow],
) -> Result<Vec<Option<WriteOutcome<T>>>, Error> {
    let mut verdicts = Vec::new();
    verdicts.resize_with(rows.len(), || None);
    for answer in answers {
        if let Some(verdict) = verdicts.get_mut(place(answer)?) {
            *verdict = Some(verdict_of(answer)?);
        }
    }
    Ok(verdicts)
}

fn told<T>(verdicts: Vec<Option<WriteOutcome<T>>>) -> Vec<WriteOutcome<T>> {
    let verdicts = verdicts.into_iter();
    verdicts
        .map(|verdict| verdict.unwrap_or(WriteOutcome::NotFound))
        .collect()
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

/// How the statement says what became of a row.
fn letter(answer: &PgRow) -> Result<u8, Error> {
    let letter: i8 = answer.try_get("optilock.verdict")?;
    Ok(letter.cast_unsigned())
}

fn verdict_of<T: PgVersioned>(answer: &PgRow) -> Result<WriteOutcome<T>, Error> {
    let (letter, row) = (letter(answer)?, T::from_row(answer)?);
    Ok(match letter {
        b'w' => WriteOutcome::Written(row),
        b's' => WriteOutcome::Stale(row),
        b'h' => WriteOutcome::Skipped(row),
        _ => WriteOutcome::Suppressed,
    })
}

/// The error of the whole statement: of one row of which an assertion failed or that is at the last
/// version, or of the database.
fn of_bulk<T: PgVersioned>(error: sqlx::Error, rows: &[T]) -> Error {
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
        // Which of them it was, the database does not say.
        _ => Error::or_taken::<T>(error, format_args!("(one of {})", rows.len())),
    }
}

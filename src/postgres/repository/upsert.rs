//! Inserts of rows that do not exist and writes of those that do.

#[cfg(doc)]
use crate::{Version, postgres::ErrorKind};
use sqlx::{
    Arguments, PgConnection, Row,
    error::BoxDynError,
    postgres::{PgArguments, PgBindIterExt, PgRow},
};

use super::{
    PgRepository,
    guarded::counted,
    outcome::WriteOutcome,
    outcomes::{Call, Outcomes, place},
};
use crate::{
    Attempt,
    postgres::{
        assertion::Broken,
        error::Error,
        row::PgVersioned,
        sql::Pass,
        transaction::{READ_COMMITTED, attempt},
    },
};

impl<T: PgVersioned> PgRepository<T> {
    /// Inserts `row`, or writes its columns over those of the row with this id, whatever the version of that
    /// row is. Returns the row as it is now.
    ///
    /// **The last writer wins**: it is for a writer that has not read the row and knows it better, such as an
    /// import or a copy of another system's data. A writer that has read the row uses [`update`](Self::update),
    /// so that it does not overwrite what it has not seen. (A version in `row` is no guard: a row at its first
    /// version looks the same whether it is new or was read.)
    ///
    /// A new row is inserted at the version that it has, usually [`Version::FIRST`], as by [`insert`](Self::insert). An existing row
    /// goes on from its own version by one, so that every other writer that has read it receives a conflict.
    ///
    /// The id can't be `as generated` or `as unique`: that is a compile error. With `on_update` or `only`, the role
    /// needs the right to read all columns.
    ///
    /// ```no_run
    /// use optilock::postgres::PgRepository;
    /// # use optilock::{Version, sqlx, versioned_row};
    /// # #[derive(sqlx::FromRow)]
    /// # struct Rate { currency: String, micros: i64, version: Version }
    /// # versioned_row! { Rate in "rates" { entity: "rate", id: currency: String, version: version, columns: [micros] } }
    ///
    /// # async fn doc(rates: PgRepository<Rate>) -> Result<(), optilock::postgres::Error> {
    /// let published = Rate { currency: "MXN".to_owned(), micros: 54_000, version: Version::FIRST };
    /// let stored = rates.upsert(&published).await?;
    /// println!("{} at version {}", stored.currency, stored.version);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`upsert_all`](Self::upsert_all); [`ErrorKind::NotFound`] if `only` hides the row;
    /// [`ErrorKind::Suppressed`].
    pub async fn upsert(&self, row: &T) -> Result<T, Error> {
        let outcomes = self.upsert_all(std::slice::from_ref(row)).await?;
        written(row, outcomes)
    }

    /// Runs [`upsert`](Self::upsert) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`upsert`](Self::upsert), and of [`upsert_all_in`](Self::upsert_all_in).
    pub async fn upsert_in(&self, conn: &mut PgConnection, row: &T) -> Result<T, Error> {
        let rows = std::slice::from_ref(row);
        let outcomes = self.upsert_all_in(conn, rows).await?;
        written(row, outcomes)
    }

    /// Runs an [`upsert`](Self::upsert) of many rows in one statement: all of them are stored, or none after an
    /// error. Returns one [`WriteOutcome`] per row, in the order given: [`Written`](WriteOutcome::Written);
    /// [`NotFound`](WriteOutcome::NotFound) for a row that `only` hides; [`Suppressed`](WriteOutcome::Suppressed).
    ///
    /// Rows are written in the order of their ids, so that calls with overlapping rows wait for each other and
    /// do not deadlock. If another writer writes a row during the statement, the call runs again in a
    /// transaction at READ COMMITTED, with a first statement that inserts the new rows and locks the others, and a
    /// second one that writes these.
    ///
    /// A trigger before an insert runs for every row, also for one that exists, and again for one that the first
    /// statement did not insert.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::TooManyRows`]; [`ErrorKind::RepeatedId`];
    /// - [`ErrorKind::AlreadyExists`] if a row would take another unique key than its id;
    /// - [`ErrorKind::Suppressed`] if a trigger left the version of a row unchanged, or changed its id;
    /// - [`ErrorKind::VersionExhausted`] if a row is at the last version;
    /// - [`ErrorKind::Unknown`] if the connection was lost during the write. With all other errors, nothing is
    ///   written.
    ///
    /// The unique index of the id must not be deferrable: PostgreSQL does not take it for `ON CONFLICT`.
    pub async fn upsert_all(&self, rows: &[T]) -> Result<Vec<WriteOutcome<T>>, Error> {
        let at_once = async |conn: &mut PgConnection| self.upsert_strictly(conn, rows).await;
        let result = match self.run(at_once).await {
            Ok(Some(outcomes)) => Ok(outcomes),
            Err(error) if !error.is_conflict() => Err(error),
            // Nothing is stored. In a transaction, the rows are locked first, and can't move on.
            Ok(None) | Err(_) => {
                let mut op =
                    async |conn: &mut PgConnection, _| self.upsert_all_in(conn, rows).await;
                attempt(&self.pool, READ_COMMITTED, Attempt::FIRST, &mut op)
                    .await
                    .map_err(|failed| failed.error.settled(failed.class))
            }
        };
        counted::<T, _>(result, Vec::as_slice)
    }

    /// Runs [`upsert_all`](Self::upsert_all) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`upsert_all`](Self::upsert_all). Above READ COMMITTED, [`ErrorKind::Serialization`](crate::postgres::ErrorKind::Serialization) if a row
    /// was written since the transaction's snapshot.
    pub async fn upsert_all_in(
        &self,
        conn: &mut PgConnection,
        rows: &[T],
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        let rows: Vec<&T> = rows.iter().collect();
        let call = Call::of_rows(&rows);
        call.check()?;
        let mut outcomes = Outcomes::new(rows.len());
        // The first statement inserts the new rows and locks the others, in the order of their ids.
        for pass in [Pass::Lock, Pass::Write] {
            let missing = outcomes.missing();
            if missing.is_empty() {
                break;
            }
            let rows: Vec<&T> = missing.iter().map(|&place| rows[place]).collect();
            let answers = self.send_upserts(conn, &rows, pass).await;
            let answers = answers.map_err(|error| Call::of_rows(&rows).failed(error))?;
            outcomes.read(&missing, &answers)?;
        }
        let missing = outcomes.missing();
        let existing = self.of_ids(conn, &self.sql.existing, &call, &missing);
        for existing in existing.await? {
            if let Some(&place) = missing.get(place(&existing)?)
                && !existing.try_get::<bool, _>("optilock.found")?
            {
                outcomes.set(place, WriteOutcome::NotFound);
            }
        }
        Ok(outcomes.finish(|| WriteOutcome::Suppressed))
    }

    /// Writes all rows by one statement that commits directly. Returns `None`, with nothing stored, if it
    /// can't write all of them.
    async fn upsert_strictly(
        &self,
        conn: &mut PgConnection,
        rows: &[T],
    ) -> Result<Option<Vec<WriteOutcome<T>>>, Error> {
        let rows: Vec<&T> = rows.iter().collect();
        let call = Call::of_rows(&rows);
        call.check()?;
        let answers = match self.send_upserts(conn, &rows, Pass::Strict).await {
            Ok(answers) => answers,
            Err(error) => {
                return match Broken::of(&error) {
                    Some((Broken::Missed | Broken::Suppressed, _)) => Ok(None),
                    _ => Err(call.failed(error)),
                };
            }
        };
        let mut outcomes = Outcomes::new(rows.len());
        let places: Vec<usize> = (0..rows.len()).collect();
        let read = outcomes.read(&places, &answers);
        read.map_err(|error| error.after(true))?;
        Ok(Some(outcomes.finish(|| WriteOutcome::Suppressed)))
    }

    async fn send_upserts(
        &self,
        conn: &mut PgConnection,
        rows: &[&T],
        pass: Pass,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        const {
            assert!(
                !T::GENERATED_ID && !T::UNIQUE_ID,
                "an upsert needs an id that the caller makes and an index enforces: \
                 not `as generated`, not `as unique`"
            );
        }
        let arguments = arguments(rows, pass).map_err(sqlx::Error::Encode)?;
        sqlx::query_with(self.sql.upsert_all.clone(), arguments)
            .fetch_all(conn)
            .await
    }
}

/// Returns the arguments of the statement that upserts.
pub(super) fn arguments<T: PgVersioned>(
    rows: &[&T],
    pass: Pass,
) -> Result<PgArguments, BoxDynError> {
    let call = Call::of_rows(rows);
    let mut arguments = PgArguments::default();
    T::bind_ids(&call.ids, &mut arguments)?;
    arguments.add(call.versions.iter().bind_iter())?;
    arguments.add(pass as i32)?;
    T::bind_all(rows, &mut arguments)?;
    Ok(arguments)
}

/// Returns the row of a call for one row, or the error that says why it was not written.
fn written<T: PgVersioned>(row: &T, outcomes: Vec<WriteOutcome<T>>) -> Result<T, Error> {
    let outcome = outcomes.into_iter().next();
    let outcome = outcome.unwrap_or(WriteOutcome::Suppressed);
    outcome.written(row.id(), row.version())
}

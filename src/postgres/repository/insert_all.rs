//! Inserts of many rows in one statement, with an outcome for each.

#[cfg(doc)]
use crate::postgres::ErrorKind;
use sqlx::{
    Arguments, Connection, PgConnection,
    error::BoxDynError,
    postgres::{PgArguments, PgBindIterExt, PgRow},
};

use super::{
    PgRepository,
    guarded::counted,
    outcome::WriteOutcome,
    outcomes::{Call, Outcomes, is_written, place},
    unencodable,
};
use crate::postgres::{assertion::Broken, classify::is_stale_plan, error::Error, row::PgVersioned};

/// How often a statement that commits directly is sent again after a conflict.
const CONFLICTS: u32 = 10;

impl<T: PgVersioned> PgRepository<T> {
    /// Inserts many rows in one statement, each at the version that it has, as [`insert`](Self::insert) does.
    /// Returns one [`WriteOutcome`] per row, in the order given: [`Written`](WriteOutcome::Written), or
    /// [`AlreadyExists`](WriteOutcome::AlreadyExists) if there is a row with this id, whatever its columns are.
    ///
    /// Rows are inserted in the order of their ids, so that calls with overlapping rows wait for each other and
    /// do not deadlock. To insert all rows or none, run [`insert_all_in`](Self::insert_all_in) in a transaction
    /// that returns an error if a row was not written.
    ///
    /// If the database generates the ids, every row is inserted or none.
    ///
    /// No index enforces an id `as unique`: an existing row is found as the statement's snapshot has it, and the host
    /// makes sure that no other writer inserts the same id at that moment.
    ///
    /// ```no_run
    /// use optilock::postgres::{PgRepository, WriteOutcome};
    /// # use optilock::{Version, sqlx, versioned_row};
    /// # #[derive(sqlx::FromRow)]
    /// # struct Account { id: i64, cents: i64, version: Version }
    /// # versioned_row! { Account in "accounts" { entity: "account", id: id: i64, version: version, columns: [cents] } }
    ///
    /// # async fn doc(accounts: PgRepository<Account>) -> Result<(), optilock::postgres::Error> {
    /// let new = [1, 2].map(|id| Account { id, cents: 0, version: Version::FIRST });
    /// for (row, outcome) in new.iter().zip(accounts.insert_all(&new).await?) {
    ///     if matches!(outcome, WriteOutcome::AlreadyExists) {
    ///         println!("account {} already exists", row.id);
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::TooManyRows`]; [`ErrorKind::RepeatedId`];
    /// - [`ErrorKind::AlreadyExists`] if a row would take another unique key than its id;
    /// - [`ErrorKind::Suppressed`] if a trigger changed the id of a row, or suppressed a row whose id the
    ///   database generates;
    /// - [`ErrorKind::Serialization`] above READ COMMITTED, if a statement had a conflict ten times;
    /// - [`ErrorKind::Unknown`] if the connection was lost during the write, or such a conflict came after rows had been
    ///   stored. With all other errors, nothing is written.
    ///
    /// The unique index of the id must not be deferrable: PostgreSQL does not take it for `ON CONFLICT`.
    pub async fn insert_all(&self, rows: &[T]) -> Result<Vec<WriteOutcome<T>>, Error> {
        // Not in a transaction: its second statement could insert a row before those that the first one holds.
        let insert = async |conn: &mut PgConnection| self.insert_rows(conn, rows, true).await;
        counted::<T, _>(self.run(insert).await, Vec::as_slice)
    }

    /// Runs [`insert_all`](Self::insert_all) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of [`insert_all`](Self::insert_all). Above READ COMMITTED, [`ErrorKind::Serialization`] if a row
    /// with the same id was inserted since the transaction's snapshot.
    pub async fn insert_all_in(
        &self,
        conn: &mut PgConnection,
        rows: &[T],
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        self.insert_rows(conn, rows, false).await
    }

    /// Inserts the rows. If the statements commit `directly`, no error may say that nothing happened once a row
    /// is written.
    async fn insert_rows(
        &self,
        conn: &mut PgConnection,
        rows: &[T],
        directly: bool,
    ) -> Result<Vec<WriteOutcome<T>>, Error> {
        let rows: Vec<&T> = rows.iter().collect();
        let call = Call::of_rows(&rows);
        if T::GENERATED_ID {
            call.check_count()?;
        } else {
            call.check()?;
        }
        let mut outcomes = Outcomes::new(rows.len());
        let mut wrote = false;
        // Twice, before a row that does not exist counts as suppressed: the row that had its id may have been
        // deleted between the two statements.
        for _ in 0..2 {
            let missing = outcomes.missing();
            if missing.is_empty() {
                break;
            }
            let mut answers = self.send_inserts(conn, &rows, &missing).await;
            // Above READ COMMITTED, a row that was inserted meanwhile is a conflict. This statement has stored nothing:
            // with a new snapshot it finds the row.
            for _ in 0..CONFLICTS {
                if !(directly && answers.as_ref().is_err_and(Error::is_conflict)) {
                    break;
                }
                answers = self.send_inserts(conn, &rows, &missing).await;
            }
            let answers = answers.map_err(|error| error.after(wrote))?;
            wrote |= directly && answers.iter().any(is_written);
            let read = outcomes.read(&missing, &answers);
            read.map_err(|error| error.after(wrote))?;
            if T::GENERATED_ID {
                break;
            }
            let mut found = self.mark_existing(conn, &call, &mut outcomes).await;
            // The schema changed after the inserts: only the question is sent again.
            if let Err(error) = &found
                && directly
                && error.as_sqlx().is_some_and(is_stale_plan)
                && conn.clear_cached_statements().await.is_ok()
            {
                found = self.mark_existing(conn, &call, &mut outcomes).await;
            }
            for _ in 0..CONFLICTS {
                if !(directly && found.as_ref().is_err_and(Error::is_conflict)) {
                    break;
                }
                found = self.mark_existing(conn, &call, &mut outcomes).await;
            }
            found.map_err(|error| error.after(wrote))?;
        }
        if T::GENERATED_ID && !outcomes.missing().is_empty() {
            return Err(Error::suppressed::<T>("(new)"));
        }
        Ok(outcomes.finish(|| WriteOutcome::Suppressed))
    }

    async fn send_inserts(
        &self,
        conn: &mut PgConnection,
        rows: &[&T],
        places: &[usize],
    ) -> Result<Vec<PgRow>, Error> {
        let rows: Vec<&T> = places.iter().map(|&place| rows[place]).collect();
        let call = Call::of_rows(&rows);
        let arguments = arguments(&rows).map_err(unencodable)?;
        sqlx::query_with(self.sql.insert_all.clone(), arguments)
            .fetch_all(conn)
            .await
            .map_err(|error| match Broken::of(&error) {
                Some((Broken::Missed, _)) => Error::suppressed::<T>("(new)"),
                _ => call.failed(error),
            })
    }

    /// Marks the rows that were not inserted because a row with their id exists.
    async fn mark_existing(
        &self,
        conn: &mut PgConnection,
        call: &Call<'_, T>,
        outcomes: &mut Outcomes<T>,
    ) -> Result<(), Error> {
        let missing = outcomes.missing();
        let existing = self.of_ids(conn, &self.sql.existing, call, &missing);
        for found in existing.await? {
            if let Some(&place) = missing.get(place(&found)?) {
                outcomes.set(place, WriteOutcome::AlreadyExists);
            }
        }
        Ok(())
    }
}

/// Returns the arguments of the statement that inserts.
pub(super) fn arguments<T: PgVersioned>(rows: &[&T]) -> Result<PgArguments, BoxDynError> {
    let call = Call::of_rows(rows);
    let mut arguments = PgArguments::default();
    if !T::GENERATED_ID {
        T::bind_ids(&call.ids, &mut arguments)?;
    }
    arguments.add(call.versions.iter().bind_iter())?;
    T::bind_all(rows, &mut arguments)?;
    Ok(arguments)
}

//! Versioned rows in memory, whose calls meet faults.

mod bulk;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::faults::Faults;
use crate::{
    Class, Classify, Conflict, RetryError, RetryPolicy, Version, Versioned,
    postgres::{Error, Failed, WriteOutcome},
    retry::Run,
};

/// The names of the operations.
const OPERATIONS: &[&str] = &[
    "find",
    "get",
    "get_at",
    "insert",
    "update",
    "compare_and_set",
    "delete",
    "touch",
    "modify",
    "update_all",
    "delete_all",
    "insert_all",
    "upsert",
    "upsert_all",
];

/// Rows of one type in memory, with the methods of [`PgRepository`](crate::postgres::PgRepository) and its answers,
/// whose calls meet the [`Faults`] of a script. Clones share the rows and the script.
///
/// A call that meets no fault is atomic. There are no transactions: the methods `.._in` need a database.
///
/// ```
/// use optilock::{Version, Versioned, testing::{Fault, MemoryRows}};
///
/// #[derive(Clone, Debug, PartialEq)]
/// struct Note { id: i64, version: Version, text: String }
///
/// impl Versioned for Note {
///     type Id = i64;
///     const ENTITY: &'static str = "note";
///     fn id(&self) -> &i64 { &self.id }
///     fn version(&self) -> Version { self.version }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let notes = MemoryRows::new(|note: &mut Note, version| note.version = version);
/// let note = Note { id: 7, version: Version::FIRST, text: "buy clay".to_owned() };
/// let note = notes.insert(&note).await.unwrap();
/// notes.faults().at_call("update", 1, Fault::unknown_but_done());
/// assert!(notes.update(&note).await.unwrap_err().is_unknown());
/// // It was written: the version that was read is outdated.
/// let conflict = notes.update(&note).await.unwrap_err();
/// assert_eq!(conflict.conflict().unwrap().actual.get(), 2);
/// # }
/// ```
pub struct MemoryRows<T: Versioned> {
    rows: Arc<Mutex<HashMap<T::Id, T>>>,
    set_version: fn(&mut T, Version),
    faults: Faults<Error>,
}

impl<T: Versioned + Clone> MemoryRows<T> {
    /// Creates an empty table. `set_version` sets the version of a row.
    #[must_use]
    pub fn new(set_version: fn(&mut T, Version)) -> Self {
        Self {
            rows: Arc::default(),
            set_version,
            faults: Faults::of(Some(OPERATIONS)),
        }
    }

    /// Returns the script.
    #[must_use]
    pub const fn faults(&self) -> &Faults<Error> {
        &self.faults
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<T::Id, T>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`PgRepository::find`](crate::postgres::PgRepository::find).
    ///
    /// # Errors
    ///
    /// That of a fault.
    pub async fn find(&self, id: &T::Id) -> Result<Option<T>, Error> {
        let found = async { Ok(self.rows().get(id).cloned()) };
        self.faults.call("find", found).await
    }

    /// See [`PgRepository::get`](crate::postgres::PgRepository::get).
    ///
    /// # Errors
    ///
    /// That of a fault, or of the kind `NotFound`.
    pub async fn get(&self, id: &T::Id) -> Result<T, Error> {
        self.faults.call("get", async { self.stored(id) }).await
    }

    /// See [`PgRepository::get_at`](crate::postgres::PgRepository::get_at).
    ///
    /// # Errors
    ///
    /// That of a fault, or of the kind `NotFound` or `Conflict`.
    pub async fn get_at(&self, id: &T::Id, expected: Version) -> Result<T, Error> {
        let found = async {
            let row = self.stored(id)?;
            current(&row, expected)?;
            Ok(row)
        };
        self.faults.call("get_at", found).await
    }

    /// See [`PgRepository::insert`](crate::postgres::PgRepository::insert).
    ///
    /// # Errors
    ///
    /// That of a fault, or of the kind `AlreadyExists`.
    pub async fn insert(&self, row: &T) -> Result<T, Error> {
        let inserted = async {
            let mut rows = self.rows();
            if rows.contains_key(row.id()) {
                return Err(Error::simulated_already_exists::<T>(row.id()));
            }
            let mut new = row.clone();
            (self.set_version)(&mut new, Version::FIRST);
            rows.insert(new.id().clone(), new.clone());
            Ok(new)
        };
        self.faults.call("insert", inserted).await
    }

    /// See [`PgRepository::update`](crate::postgres::PgRepository::update).
    ///
    /// # Errors
    ///
    /// That of a fault, or of the kind `NotFound`, `Conflict` or `VersionExhausted`.
    pub async fn update(&self, row: &T) -> Result<T, Error> {
        let written = async { self.write(row, row.version()) };
        self.faults.call("update", written).await
    }

    /// See [`PgRepository::compare_and_set`](crate::postgres::PgRepository::compare_and_set).
    ///
    /// # Errors
    ///
    /// That of a fault, or of the kind `VersionExhausted`.
    pub async fn compare_and_set(&self, row: &T) -> Result<WriteOutcome<T>, Error> {
        let written = async {
            match self.write(row, row.version()) {
                Ok(written) => Ok(WriteOutcome::Written(written)),
                Err(error) if error.is_conflict() => self.stored(row.id()).map(WriteOutcome::Stale),
                Err(error) if error.is_not_found() => Ok(WriteOutcome::NotFound),
                Err(error) => Err(error),
            }
        };
        self.faults.call("compare_and_set", written).await
    }

    /// See [`PgRepository::delete`](crate::postgres::PgRepository::delete).
    ///
    /// # Errors
    ///
    /// That of a fault, or of the kind `NotFound` or `Conflict`.
    pub async fn delete(&self, id: &T::Id, expected: Version) -> Result<(), Error> {
        let deleted = async {
            let mut rows = self.rows();
            let row = rows.get(id).ok_or_else(|| Error::not_found::<T>(id))?;
            current(row, expected)?;
            rows.remove(id);
            Ok(())
        };
        self.faults.call("delete", deleted).await
    }

    /// See [`PgRepository::touch`](crate::postgres::PgRepository::touch).
    ///
    /// # Errors
    ///
    /// That of a fault, or of the kind `NotFound`, `Conflict` or `VersionExhausted`.
    pub async fn touch(&self, id: &T::Id, expected: Version) -> Result<Version, Error> {
        let touched = async {
            let row = self.stored(id)?;
            Ok(self.write(&row, expected)?.version())
        };
        self.faults.call("touch", touched).await
    }

    /// See [`PgRepository::modify`](crate::postgres::PgRepository::modify). Each attempt is a call of `modify`.
    ///
    /// # Errors
    ///
    /// The error of `change`, of a fault, or of the kind `NotFound` or `VersionExhausted`, in a [`RetryError`].
    pub async fn modify<R, E>(
        &self,
        policy: &RetryPolicy,
        id: &T::Id,
        mut change: impl FnMut(&mut T) -> Result<R, E> + Send,
    ) -> Result<(T, R), RetryError<E>>
    where
        R: Send,
        E: From<Error> + Send,
    {
        let mut run = Run::new(policy);
        loop {
            run.attempt();
            let attempt = async {
                let mut row = self.stored(id)?;
                let read = row.version();
                Ok(match change(&mut row) {
                    Ok(answer) => Ok((self.write(&row, read)?, answer)),
                    Err(error) => Err(error),
                })
            };
            let failed = match self.faults.call("modify", attempt).await {
                Ok(Ok(done)) => {
                    run.succeeded();
                    return Ok(done);
                }
                Ok(Err(error)) => Failed::new(error, Class::Permanent),
                Err(error) => {
                    let class = error.class();
                    Failed::new(error.into(), class)
                }
            };
            let waited = run.wait(failed).await;
            waited.map_err(|gave_up| gave_up.map(|failed| failed.error))?;
        }
    }

    fn stored(&self, id: &T::Id) -> Result<T, Error> {
        let rows = self.rows();
        rows.get(id)
            .cloned()
            .ok_or_else(|| Error::not_found::<T>(id))
    }

    fn write(&self, row: &T, expected: Version) -> Result<T, Error> {
        let mut rows = self.rows();
        let stored = rows
            .get_mut(row.id())
            .ok_or_else(|| Error::not_found::<T>(row.id()))?;
        current(stored, expected)?;
        let next = expected
            .next()
            .ok_or_else(|| Error::exhausted::<T>(row.id()))?;
        let mut new = row.clone();
        (self.set_version)(&mut new, next);
        *stored = new.clone();
        Ok(new)
    }
}

/// Checks the version of a row.
fn current<T: Versioned>(row: &T, expected: Version) -> Result<(), Error> {
    match row.version() {
        actual if actual == expected => Ok(()),
        actual => Err(Conflict::new(T::ENTITY, row.id(), expected, actual).into()),
    }
}

impl<T: Versioned> Clone for MemoryRows<T> {
    fn clone(&self) -> Self {
        Self {
            rows: Arc::clone(&self.rows),
            set_version: self.set_version,
            faults: self.faults.clone(),
        }
    }
}

impl<T: Versioned> fmt::Debug for MemoryRows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryRows")
            .field("entity", &T::ENTITY)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

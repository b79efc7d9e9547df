use std::{fmt::Display, future::Future};

use sqlx::PgConnection;

use crate::inventory::{model::Error, model::cleanup::Cleaned};

/// What is cleaned up, and by which statements.
pub(crate) trait Task: Sync {
    /// What it is called in events and metrics.
    const WHAT: &'static str;
    /// What its operations are called in those of retries.
    const LABEL: &'static str;
    /// What is skipped or refused as a whole.
    type Key: Clone + Display + Ord + Send + Sync;
    /// A row that is due.
    type Due: Clone + Send + Sync;
    /// Where a page ends.
    type Cursor: Send + Sync;

    /// Before the first row.
    fn start() -> Self::Cursor;

    fn key(due: &Self::Due) -> &Self::Key;

    /// The page behind `after`, which reads `limit` rows at most.
    fn page(
        &self,
        conn: &mut PgConnection,
        after: &Self::Cursor,
        limit: u64,
    ) -> impl Future<Output = Result<Page<Self>, Error>> + Send;

    /// What is still due of these keys, `limit` rows at most.
    fn due_of(
        &self,
        conn: &mut PgConnection,
        keys: &[Self::Key],
        limit: u64,
    ) -> impl Future<Output = Result<Vec<Self::Due>, Error>> + Send;

    /// Cleans these rows up, but for those that are locked or no longer due.
    fn clean(
        &self,
        conn: &mut PgConnection,
        due: &[Self::Due],
    ) -> impl Future<Output = Result<CleanedPage<Self::Key>, Error>> + Send;

    /// Waits for the locks that cleaning this key up takes, and takes them.
    fn lock(
        &self,
        conn: &mut PgConnection,
        key: &Self::Key,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// A page of rows that are due.
pub(crate) struct Page<T: Task + ?Sized> {
    pub(crate) due: Vec<T::Due>,
    /// Where it ends; `None` for the last one.
    pub(crate) next: Option<T::Cursor>,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct CleanedPage<K> {
    pub(crate) done: Cleaned,
    /// Keys of rows that were not cleaned up: locked, or no longer due.
    pub(crate) left: Vec<K>,
}

use std::{fmt::Display, future::Future};

use crate::inventory::{
    model::{Error, cleanup::Cleaned},
    postgres::schema::SchemaConnection,
};

/// A kind of clean-up: its rows and its statements.
pub(crate) trait Task: Sync {
    /// The name in events and metrics.
    const WHAT: &'static str;
    /// The name of its operations in events of retries.
    const LABEL: &'static str;
    /// The unit that is skipped or refused.
    type Key: Clone + Display + Ord + Send + Sync;
    /// A row that is due.
    type Due: Clone + Send + Sync;
    /// The end of a page.
    type Cursor: Send + Sync;

    /// Returns the position before the first row.
    fn start() -> Self::Cursor;

    fn key(due: &Self::Due) -> &Self::Key;

    /// Returns the page after `after`; reads at most `limit` rows.
    fn page(
        &self,
        conn: &mut SchemaConnection<'_>,
        after: &Self::Cursor,
        limit: u64,
    ) -> impl Future<Output = Result<Page<Self>, Error>> + Send;

    /// Returns the rows of these keys that are still due, at most `limit`.
    fn due_of(
        &self,
        conn: &mut SchemaConnection<'_>,
        keys: &[Self::Key],
        limit: u64,
    ) -> impl Future<Output = Result<Vec<Self::Due>, Error>> + Send;

    /// Cleans these rows up, except those that are locked or no longer due.
    fn clean(
        &self,
        conn: &mut SchemaConnection<'_>,
        due: &[Self::Due],
    ) -> impl Future<Output = Result<CleanedPage<Self::Key>, Error>> + Send;

    /// Takes the locks that cleaning this key up needs, and waits for them.
    fn lock(
        &self,
        conn: &mut SchemaConnection<'_>,
        key: &Self::Key,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// A page of rows that are due.
pub(crate) struct Page<T: Task + ?Sized> {
    pub(crate) due: Vec<T::Due>,
    /// The end of the page; `None` for the last page.
    pub(crate) next: Option<T::Cursor>,
}

/// The result of a batch.
#[derive(Debug)]
pub(crate) struct CleanedPage<K> {
    pub(crate) done: Cleaned,
    /// Keys of rows that were not cleaned up: locked, or no longer due.
    pub(crate) left: Vec<K>,
}

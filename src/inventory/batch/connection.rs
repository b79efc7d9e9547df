//! The connection of a batch.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sqlx::SqlStr;
use tokio::{sync::oneshot, time::timeout};

use crate::{
    inventory::{
        model::Error,
        postgres::{executor::Executor, schema::SchemaConnection},
    },
    postgres::Lease,
};

/// The connection of a batch: that of a batch before, or one of the pool.
///
/// A batch that follows a running one is planned while that one is written, and is sent on the same connection. On
/// another connection its statement would wait for the locks of the one before, and then read on another core what
/// that one has written: measured with batches of 128 checkouts on two cores, it takes 1.4 times the time.
#[derive(Debug)]
pub(crate) struct Connection {
    lease: Option<Lease>,
    /// Receives the connection of the running batch that this one follows.
    before: Option<oneshot::Receiver<Lease>>,
    successor: Successor,
}

impl Connection {
    /// The longest time that a batch waits for the connection of the previous batch. Then the batch takes one of the
    /// pool.
    const PATIENCE: Duration = Duration::from_millis(50);

    /// Uses the connection of a batch that has ended, if there is one.
    pub(crate) fn new(lease: Option<Lease>) -> Self {
        Self {
            lease,
            before: None,
            successor: Successor::default(),
        }
    }

    /// Uses the connection that is received when the running batch ends.
    fn after(before: oneshot::Receiver<Lease>) -> Self {
        Self {
            lease: None,
            before: Some(before),
            successor: Successor::default(),
        }
    }

    /// Returns the connection. Waits for it if the batch does not have it yet.
    pub(crate) async fn get(&mut self, executor: &Executor) -> Result<&mut Lease, Error> {
        let lease = match self.lease.take() {
            Some(lease) => lease,
            None => match self.received().await {
                Some(lease) => lease,
                None => executor.acquire().await?,
            },
        };
        Ok(self.lease.insert(lease))
    }

    async fn received(&mut self) -> Option<Lease> {
        let received = timeout(Self::PATIENCE, self.before.take()?).await;
        received.ok()?.ok()
    }

    /// Returns the connection if the batch has it.
    pub(crate) const fn get_if_held(&mut self) -> Option<&mut Lease> {
        self.lease.as_mut()
    }

    /// Returns the place of a batch that follows this one.
    pub(crate) fn successor(&self) -> Successor {
        self.successor.clone()
    }

    /// Hands the connection over to the batch that waits for it, if there is one and no other caller waits for one
    /// of the pool. Called when nothing is left to send, before the answers: the next batch is sent at once.
    pub(crate) fn hand_over(&mut self, executor: &Executor) {
        if !executor.is_pool_wanted() {
            let lease = self.lease.take();
            self.lease = lease.and_then(|lease| self.successor.hand_over(lease));
        }
    }

    /// Gives the connection back to the batch.
    pub(crate) fn put(&mut self, lease: Lease) {
        self.lease = Some(lease);
    }

    /// Takes the connection from the batch, if it has one. The next attempt uses one of the pool.
    pub(crate) const fn take(&mut self) -> Option<Lease> {
        self.lease.take()
    }
}

/// The place of a batch that follows a running one and waits for its connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Successor(Arc<Mutex<Option<oneshot::Sender<Lease>>>>);

impl Successor {
    fn waiting(&self) -> MutexGuard<'_, Option<oneshot::Sender<Lease>>> {
        // Nothing that panics is done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection of a batch that follows this one.
    pub(crate) fn enter(&self) -> Connection {
        let (sender, receiver) = oneshot::channel();
        *self.waiting() = Some(sender);
        Connection::after(receiver)
    }

    /// Hands the connection over to the batch that waits for it. Returns it if there is none.
    fn hand_over(&self, conn: Lease) -> Option<Lease> {
        match self.waiting().take() {
            Some(waiting) => waiting.send(conn).err(),
            None => Some(conn),
        }
    }
}

/// The connection of one attempt.
#[derive(Debug)]
pub(crate) enum AttemptConnection<'a> {
    /// In a transaction.
    Begun(SchemaConnection<'a>),
    /// Of a batch that may not have it yet.
    OfBatch(&'a mut Connection, &'a Executor),
}

impl AttemptConnection<'_> {
    /// Returns the connection. Waits for it if the batch does not have it yet.
    pub(crate) async fn get(&mut self) -> Result<SchemaConnection<'_>, Error> {
        match self {
            Self::Begun(conn) => Ok(conn.reborrow()),
            Self::OfBatch(conn, executor) => {
                let lease = conn.get(executor).await?;
                Ok(executor.schema().on(lease))
            }
        }
    }

    /// Returns a statement of the crate's files for the schema of the connection.
    pub(crate) fn sql(&self, statement: &'static str) -> SqlStr {
        match self {
            Self::Begun(conn) => conn.sql(statement),
            Self::OfBatch(_, executor) => executor.schema().statement(statement),
        }
    }

    /// Hands the connection over to the batch that waits for it. In a transaction it has no effect.
    pub(crate) fn hand_over(&mut self) {
        if let Self::OfBatch(conn, executor) = self {
            conn.hand_over(executor);
        }
    }
}

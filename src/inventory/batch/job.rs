//! What a queue needs to know about its requests.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use super::connection::Connection;
use crate::{inventory::model::Error, postgres::BoxFuture};

/// The work of one queue: how its requests are written together, and how one is made directly.
///
/// A request is answered once: by a batch, or directly if it is uncontended or if a batch could not decide it.
pub(crate) trait Job: Send + Sync + 'static {
    type Request: Send + Sync + 'static;
    type Answer: Send + 'static;

    /// The name of the queue in metrics and events.
    const LANE: &'static str;

    /// Whether an uncontended request is direct while a batch runs. `false` if requests gain from a batch that do
    /// not contend with any other.
    const BESIDE: bool = true;

    /// Returns what the request contends for.
    fn keys(&self, request: &Self::Request) -> Keys;

    /// Returns the number of lines of the request. A batch of several requests has at most
    /// [`BatchOptions::MAX_LINES`](super::options::BatchOptions::MAX_LINES).
    fn weight(&self, request: &Self::Request) -> usize;

    /// Writes the requests in the order of arrival, and returns one verdict per request, in the same order.
    ///
    /// The future is dropped when the time limit of a batch is over, and the connection is closed then;
    /// [`lost`](Self::lost) follows for each request.
    fn write<'a>(
        &'a self,
        conn: &'a mut Connection,
        batch: &'a [Arc<Self::Request>],
    ) -> BoxFuture<'a, Written<Self::Answer>>;

    /// Makes one request outside of a batch, in the caller's task.
    fn direct<'a>(
        &'a self,
        request: &'a Arc<Self::Request>,
        how: Direct,
    ) -> BoxFuture<'a, Result<Self::Answer, Error>>;

    /// Records that a batch with the request ended without a verdict: it was dropped, or it panicked. A
    /// [`direct`](Self::direct) one in doubt follows, unless the caller has left.
    fn lost(&self, _request: &Self::Request) {}
}

/// What a batch did.
#[derive(Debug)]
pub(crate) struct Written<A> {
    /// One per request, in the order of the requests.
    pub(crate) verdicts: Vec<Verdict<A>>,
    /// A lock was not obtained in time (SQLSTATE 55P03). Until a batch of the same keys ends without it, they
    /// are not batched with others.
    pub(crate) blocked: bool,
}

/// What a batch did with one of its requests.
#[derive(Debug)]
pub(crate) enum Verdict<A> {
    /// The answer to the caller.
    Final(Result<A, Error>),
    /// The batch did not decide the request: it has to go direct.
    Bypass {
        /// What the batch sent may have taken effect, or may still.
        in_doubt: bool,
    },
    /// Nothing was written. The request returns to the front of the queue, and is refused as busy after as many
    /// batches as the retry policy has attempts.
    Again,
}

/// How a direct request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Direct {
    /// A batch with the request may have taken effect, or may still.
    pub(crate) in_doubt: bool,
    /// Attempts wait for locks as long as batches do. An uncontended request waits as long as without a queue.
    pub(crate) lock_limit: bool,
}

/// What a request contends for, as hashes of products, orders or reservations. Two requests with the same hash
/// contend, even if it is by collision: they are never written by two batches at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Keys(Repr);

/// Most requests have one key, which needs no allocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Repr {
    One([u64; 1]),
    Many(Box<[u64]>),
}

impl Keys {
    /// Returns the hash of one thing that requests contend for. `entity` tells an order from a reservation of
    /// the same id.
    pub(crate) fn key(entity: &str, id: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        entity.hash(&mut hasher);
        id.hash(&mut hasher);
        hasher.finish()
    }

    /// Returns the keys in ascending order, each once.
    pub(crate) const fn as_slice(&self) -> &[u64] {
        match &self.0 {
            Repr::One(one) => one,
            Repr::Many(many) => many,
        }
    }
}

impl FromIterator<u64> for Keys {
    fn from_iter<I: IntoIterator<Item = u64>>(keys: I) -> Self {
        let mut keys = keys.into_iter();
        let (Some(first), second) = (keys.next(), keys.next()) else {
            return Self(Repr::Many(Box::default()));
        };
        let Some(second) = second else {
            return Self(Repr::One([first]));
        };
        let mut all: Vec<u64> = [first, second].into_iter().chain(keys).collect();
        all.sort_unstable();
        all.dedup();
        Self(Repr::Many(all.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_and_unique() {
        let keys = |keys: &[u64]| keys.iter().copied().collect::<Keys>();
        assert_eq!(keys(&[]).as_slice(), [0_u64; 0]);
        assert_eq!(keys(&[7]).as_slice(), [7]);
        assert_eq!(keys(&[9, 7, 9, 8]).as_slice(), [7, 8, 9]);
        assert_eq!(Keys::key("product", "pot"), Keys::key("product", "pot"));
        assert_ne!(Keys::key("product", "pot"), Keys::key("order", "pot"));
    }
}

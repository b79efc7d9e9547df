//! What happens to a queue, and what it wants done.

use crate::inventory::batch::job::Keys;

/// A request, numbered in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// A batch that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BatchId(pub(crate) u64);

/// A worker. Events of a worker that was replaced have no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Generation(pub(crate) u64);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// A caller sends a request. Tickets ascend.
    Admit {
        ticket: Ticket,
        keys: Keys,
        weight: usize,
    },
    /// The caller of a queued request is gone.
    Left(Ticket),
    /// A direct request has ended.
    DirectEnded(Ticket),
    /// The worker asks for batches.
    Take(Generation),
    /// A batch has been running for a while.
    Slow(BatchId),
    /// A batch has ended, with one fate per request in the order of its start.
    Ended {
        batch: BatchId,
        fates: Vec<Fate>,
        /// It did not get its locks in time.
        blocked: bool,
    },
    /// A batch was dropped by its time limit, or it panicked.
    Lost(BatchId),
    /// The task of the worker was dropped, with its batches.
    WorkerLost(Generation),
    /// The caller of this request has seen no progress of the queue for longer than a batch may take.
    Stalled(Ticket),
    /// Nothing is admitted from now on.
    Close,
    /// The time limit of the shutdown is over.
    Abandon,
}

/// What a batch did with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    Final,
    Bypass { in_doubt: bool },
    Again,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// The admitted request is made by its caller.
    Direct,
    Queued,
    /// The request is refused: the queue is full.
    Full,
    /// The request is refused: the queue is closed.
    Closed,
    /// A worker has to be started on the caller's runtime.
    Spawn(Generation),
    /// The worker has to ask for batches.
    Wake,
    /// The worker has to write these requests.
    Start {
        batch: BatchId,
        tickets: Vec<Ticket>,
        /// The running batch whose connection writes this one.
        follows: Option<BatchId>,
    },
    /// The worker that asked has to end: nothing is queued, or another worker has replaced it.
    Rest,
    /// The batch has answered the request; `index` is its place in the batch.
    Answer {
        ticket: Ticket,
        index: usize,
    },
    /// The queued request is made by its caller.
    Grant {
        ticket: Ticket,
        in_doubt: bool,
    },
    /// The queued request is refused as busy.
    Refuse {
        ticket: Ticket,
        in_doubt: bool,
    },
    /// The request was in a batch that was lost.
    Doubt(Ticket),
    /// The queued request has no caller.
    Forget(Ticket),
    /// The queue is closed, and every admitted request has its answer.
    Idle,
}

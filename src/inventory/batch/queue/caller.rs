//! What a caller has while its request is queued, or while it makes the request.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use tokio::{sync::oneshot, time::timeout};

use super::{
    machine::{Event, Ticket},
    shared::{Queue, Reply, SLOW, Slot},
};
use crate::inventory::{batch::job::Job, model::Error};

/// A request in the queue. If it is dropped before its batch starts, the request has no effect.
pub(super) struct Queued<J: Job> {
    queue: Arc<Queue<J>>,
    ticket: Ticket,
    reply: oneshot::Receiver<Reply<J>>,
    replied: bool,
}

impl<J: Job> Queued<J> {
    pub(super) fn new(queue: &Arc<Queue<J>>, ticket: Ticket) -> (Self, oneshot::Sender<Reply<J>>) {
        let (sender, reply) = oneshot::channel();
        let queue = Arc::clone(queue);
        let queued = Self {
            queue,
            ticket,
            reply,
            replied: false,
        };
        (queued, sender)
    }

    /// Waits for the reply. If the queue makes no progress for longer than a batch may take, its worker stands
    /// still: this caller replaces it.
    pub(super) async fn reply(mut self) -> Reply<J> {
        let longest = self.queue.time_limit + SLOW;
        loop {
            let before = self.queue.progress.load(Relaxed);
            match timeout(longest, &mut self.reply).await {
                Ok(reply) => {
                    self.replied = true;
                    // A queued request always has a reply. Without one its outcome is unknown.
                    let lost = |_| Reply::Final(Err(Error::busy(None).into_unknown()));
                    return reply.unwrap_or_else(lost);
                }
                Err(_) if self.queue.progress.load(Relaxed) == before => {
                    self.queue.stalled(self.ticket);
                }
                Err(_) => {}
            }
        }
    }
}

impl<J: Job> Drop for Queued<J> {
    fn drop(&mut self) {
        if !self.replied {
            self.queue.on(Event::Left(self.ticket));
        }
    }
}

impl<J: Job> Slot<J> {
    pub(super) fn new(queue: &Arc<Queue<J>>, ticket: Ticket) -> Self {
        let queue = Some(Arc::clone(queue));
        Self { queue, ticket }
    }

    /// Gives the permission back without an event of its own.
    pub(super) fn into_event(mut self) -> Event {
        self.queue = None;
        Event::DirectEnded(self.ticket)
    }

    /// Runs the request. Each time it is polled, the queue sees that its task is alive.
    pub(super) async fn run<T>(self, request: impl Future<Output = T>) -> T {
        let mut request = pin!(request);
        poll_fn(|context| {
            if let Some(queue) = &self.queue {
                queue.touch(self.ticket);
            }
            request.as_mut().poll(context)
        })
        .await
    }
}

impl<J: Job> Drop for Slot<J> {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.on(Event::DirectEnded(self.ticket));
        }
    }
}

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{sync::oneshot, time::Instant};

use crate::inventory::{
    batch::options::BatchOptions,
    model::{Checkout, Error, Order, Sku},
};

/// A checkout in the queue.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) request: Arc<Checkout>,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The answer of a batch to one of its requests.
#[derive(Debug)]
pub(crate) enum Answer {
    Final(Result<Order, Error>),
    /// The batch did not decide the request: it has to bypass the queue.
    Bypass {
        /// What the batch sent may have taken effect, or may still.
        in_doubt: bool,
    },
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) queued: VecDeque<Queued>,
    /// The direct requests that have not ended.
    pub(super) direct: Vec<Arc<Checkout>>,
    /// The requests of the batch that is being written.
    pub(super) in_batch: Vec<Arc<Checkout>>,
    pub(super) has_worker: bool,
    pub(super) closed: bool,
    /// Requests per second, averaged over the last batches; `None` before the first one.
    pub(super) rate: Option<f64>,
    /// Until then every request bypasses the queue.
    pub(super) direct_until: Option<Instant>,
}

impl State {
    /// Returns whether a request that is sent to the database has a product in common with this one.
    pub(super) fn contends(&self, request: &Checkout) -> bool {
        let mut sent = self.direct.iter().chain(&self.in_batch);
        sent.any(|other| share_a_product(other, request))
    }

    /// Returns when the queue will be drained: 1 ms to 60 s, and 1 s before the first batch, when the rate is
    /// unknown.
    pub(super) fn drained_in(&self) -> Duration {
        let seconds = self
            .rate
            .map_or(1.0, |rate| self.queued.len() as f64 / rate);
        Duration::from_secs_f64(seconds.clamp(0.001, 60.0))
    }

    /// Takes the requests that fit in a batch, in the order of arrival. Requests whose caller is gone are
    /// dropped.
    pub(super) fn take_batch(&mut self, most: usize) -> Vec<Queued> {
        let (mut batch, mut lines) = (Vec::new(), 0);
        while batch.len() < most
            && let Some(first) = self.queued.front()
            && (batch.is_empty() || lines + first.request.lines.len() <= BatchOptions::MAX_LINES)
        {
            if let Some(first) = self.queued.pop_front()
                && !first.answer.is_closed()
            {
                lines += first.request.lines.len();
                batch.push(first);
            }
        }
        let requests = batch.iter().map(|queued| Arc::clone(&queued.request));
        self.in_batch = requests.collect();
        batch
    }
}

fn share_a_product(a: &Checkout, b: &Checkout) -> bool {
    let in_b = |sku: &Sku| b.lines.iter().any(|line| line.sku == *sku);
    a.lines.iter().any(|line| in_b(&line.sku))
}

//! The batches: which requests they take, and what follows when they end.

use std::mem;

use super::{
    Actions, Machine,
    event::{Action, BatchId, Fate, Generation, Ticket},
    limits::Limits,
    requests::{Running, Sent, Waiting, share_a_key},
};

/// The most suspect keys that are remembered.
const MAX_SUSPECTS: usize = 10_000;

/// Which requests a batch takes.
enum Taking {
    /// The first request decides.
    Any,
    /// Those without suspect keys.
    Clean,
    /// Those of suspect keys that are connected with these keys.
    Suspect(Vec<u64>),
}

impl Machine {
    /// Returns whether a batch may start beside those that run.
    pub(super) fn may_start(&self) -> bool {
        self.running.len() < Limits::BATCHES
            && self.running.iter().all(|running| running.slow)
            && self.connections() < self.limits.connections
    }

    /// Returns the running batch behind which another one may start, although its keys are the same: the second one
    /// is planned while the first one is written, and then sent on its connection. It has at least as many
    /// requests: to divide what is queued into ever smaller batches would cost more.
    pub(super) fn may_follow(&self) -> Option<BatchId> {
        let [running] = self.running.as_slice() else {
            return None;
        };
        let most = running.requests.len().max(self.limits.follow);
        let may = !running.slow
            && self.waiting.len() >= most
            && self.connections() < self.limits.shared();
        may.then_some(running.batch)
    }

    fn may_start_suspect(&self) -> bool {
        let suspect = self.running.iter().filter(|running| running.suspect);
        suspect.count() < Limits::SUSPECT_BATCHES && self.connections() < self.limits.shared()
    }

    pub(super) fn take(&mut self, generation: Generation, out: &mut Actions) {
        if self.worker != Some(generation) {
            return out.push(Action::Rest);
        }
        loop {
            let follows = self.may_follow();
            if follows.is_none() && !self.may_start() {
                break;
            }
            match self.next_batch(follows) {
                Some(start) => out.push(start),
                None => break,
            }
        }
        if self.running.is_empty() && self.waiting.is_empty() {
            self.worker = None;
            out.push(Action::Rest);
        }
        self.grant(out);
    }

    /// Starts a batch of the oldest requests that may start. Those that have to wait for a running batch are
    /// parked at it, so that they are not looked at again before it ends.
    fn next_batch(&mut self, follows: Option<BatchId>) -> Option<Action> {
        let oldest = self.oldest()?;
        if self.is_impatient(oldest) {
            return None;
        }
        let may_start_suspect = follows.is_none() && self.may_start_suspect();
        let (mut tickets, mut parked) = (Vec::new(), Vec::new());
        let (mut taking, mut lines) = (Taking::Any, 0);
        for (&ticket, waiting) in &self.waiting {
            if follows.is_none()
                && let Some(at) = self
                    .running
                    .iter()
                    .position(|it| it.contends(&waiting.keys))
            {
                parked.push((ticket, at));
                continue;
            }
            let suspect = self.is_suspect(&waiting.keys);
            let keys = waiting.keys.as_slice();
            match &mut taking {
                Taking::Any if suspect && !may_start_suspect => {
                    if let Some(at) = self.running.iter().position(|running| running.suspect) {
                        parked.push((ticket, at));
                    }
                    continue;
                }
                Taking::Any if suspect => taking = Taking::Suspect(keys.to_vec()),
                Taking::Any => taking = Taking::Clean,
                Taking::Clean if suspect => continue,
                Taking::Clean => {}
                Taking::Suspect(group) if suspect && share_a_key(keys, group) => {
                    group.extend(keys);
                    group.sort_unstable();
                    group.dedup();
                }
                Taking::Suspect(_) => continue,
            }
            let fits =
                tickets.len() < self.limits.batch && lines + waiting.weight <= self.limits.lines;
            if !fits && !tickets.is_empty() {
                break;
            }
            lines += waiting.weight;
            tickets.push(ticket);
        }
        for (ticket, at) in parked {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                self.running[at].parked.insert(ticket, waiting);
            }
        }
        if tickets.is_empty() {
            return None;
        }
        if tickets[0] > oldest {
            self.pass(oldest);
        }
        Some(self.start(tickets, matches!(taking, Taking::Suspect(_)), follows))
    }

    fn start(&mut self, tickets: Vec<Ticket>, suspect: bool, follows: Option<BatchId>) -> Action {
        self.last_batch.0 += 1;
        let batch = self.last_batch;
        let mut requests = Vec::with_capacity(tickets.len());
        for &ticket in &tickets {
            if let Some(waiting) = self.waiting.remove(&ticket) {
                requests.push(Sent {
                    ticket,
                    waiting,
                    left: false,
                });
            }
        }
        let keys = requests
            .iter()
            .flat_map(|sent| sent.waiting.keys.as_slice());
        let mut keys: Vec<u64> = keys.copied().collect();
        keys.sort_unstable();
        keys.dedup();
        self.running.push(Running {
            batch,
            requests,
            keys,
            follows,
            // Others need not wait for what will most likely be slow.
            slow: suspect,
            suspect,
            last_admitted: self.last_admitted,
            parked: Default::default(),
        });
        Action::Start {
            batch,
            tickets,
            follows,
        }
    }

    pub(super) fn oldest(&self) -> Option<Ticket> {
        let parked = self.running.iter().map(|running| &running.parked);
        let queued = parked.chain([&self.waiting]);
        queued.filter_map(|it| it.keys().next().copied()).min()
    }

    /// Returns whether no batch may start before the oldest request does. It does not hold for a request that
    /// waits for suspect keys: their batches take long, and each of them is counted.
    fn is_impatient(&self, oldest: Ticket) -> bool {
        let waits_for_suspects = || {
            let suspect = self.running.iter().filter(|running| running.suspect);
            suspect.into_iter().any(|it| {
                let waiting = self.waiting.get(&oldest);
                it.parked.contains_key(&oldest)
                    || waiting.is_some_and(|waiting| it.contends(&waiting.keys))
            })
        };
        self.passed == (oldest, Limits::PASSES) && !self.running.is_empty() && !waits_for_suspects()
    }

    fn pass(&mut self, oldest: Ticket) {
        let passes = if self.passed.0 == oldest {
            self.passed.1
        } else {
            0
        };
        self.passed = (oldest, Limits::PASSES.min(passes + 1));
    }

    pub(super) fn end(&mut self, batch: BatchId, fates: &[Fate], blocked: bool, out: &mut Actions) {
        let Some(running) = self.remove(batch) else {
            return;
        };
        if blocked {
            if self.suspects.len() + running.keys.len() > MAX_SUSPECTS {
                self.suspects.clear();
            }
            self.suspects.extend(&running.keys);
            self.count_blocked(&running, out);
        } else {
            for key in &running.keys {
                self.suspects.remove(key);
            }
        }
        for (index, sent) in running.requests.into_iter().enumerate() {
            let ticket = sent.ticket;
            // A batch without a fate for each request is a fault of the job.
            let fate = fates.get(index).copied();
            match fate.unwrap_or(Fate::Bypass { in_doubt: true }) {
                _ if sent.left => {}
                Fate::Final => out.push(Action::Answer { ticket, index }),
                Fate::Bypass { in_doubt } => self.bypass(ticket, sent.waiting.keys, in_doubt),
                Fate::Again => self.wait_again(ticket, sent.waiting, out),
            }
        }
        self.grant(out);
        self.call_worker(out);
    }

    /// Counts the batch for the queued requests that have waited for its locks as well.
    fn count_blocked(&mut self, ended: &Running, out: &mut Actions) {
        let limit = self.limits.attempts;
        let parked = self.running.iter_mut().map(|running| &mut running.parked);
        for queue in parked.chain([&mut self.waiting]) {
            queue.retain(|&ticket, waiting| {
                if ticket <= ended.last_admitted && ended.contends(&waiting.keys) {
                    waiting.blocked += 1;
                }
                let stays = waiting.blocked < limit;
                if !stays {
                    let in_doubt = false;
                    out.push(Action::Refuse { ticket, in_doubt });
                }
                stays
            });
        }
    }

    fn wait_again(&mut self, ticket: Ticket, mut waiting: Waiting, out: &mut Actions) {
        waiting.blocked += 1;
        if waiting.blocked < self.limits.attempts {
            self.waiting.insert(ticket, waiting);
        } else {
            let in_doubt = false;
            out.push(Action::Refuse { ticket, in_doubt });
        }
    }

    pub(super) fn lose(&mut self, batch: BatchId, out: &mut Actions) {
        if let Some(running) = self.remove(batch) {
            self.doubt(running, out);
            self.grant(out);
            self.call_worker(out);
        }
    }

    pub(super) fn lose_all(&mut self, out: &mut Actions) {
        for running in mem::take(&mut self.running) {
            self.doubt(running, out);
        }
    }

    /// The requests of a lost batch may have taken effect.
    fn doubt(&mut self, mut running: Running, out: &mut Actions) {
        self.waiting.append(&mut running.parked);
        for sent in running.requests.into_iter().filter(|sent| !sent.left) {
            out.push(Action::Doubt(sent.ticket));
            self.bypass(sent.ticket, sent.waiting.keys, true);
        }
    }

    /// Removes a running batch. What was parked at it is queued again.
    fn remove(&mut self, batch: BatchId) -> Option<Running> {
        let at = self.running.iter().position(|it| it.batch == batch)?;
        let mut running = self.running.remove(at);
        self.waiting.append(&mut running.parked);
        Some(running)
    }
}

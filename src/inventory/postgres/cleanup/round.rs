//! One call of a clean-up.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::{
    rate::RateLimit,
    size::Size,
    skipped::Skipped,
    task::{CleanedPage, Page, Task},
};
use crate::{
    Attempt,
    inventory::{
        model::{Error, cleanup::Cleaned},
        postgres::executor::{Executor, Work},
    },
    postgres::WAIT_SHORTLY,
};

/// The pauses before skipped keys are tried again.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long skipped keys are tried again under a policy without a deadline.
const COME_BACK: Duration = Duration::from_secs(3);

/// How many direct attempts may time out on a lock between two pauses.
const DIRECT_ATTEMPTS: u32 = 4;

/// How many refused keys an event names at `WARN`.
const MOST_NAMED: usize = 100;

/// How many refused keys are searched one by one.
const MOST_REFUSED: usize = 10_000;

/// How many single keys may fail while nothing was cleaned up: more failures are not caused by a row.
const MOST_VAIN: u32 = 8;

pub(crate) struct Round<'i, T: Task> {
    executor: &'i Executor,
    task: &'i T,
    rate: RateLimit,
    size: Size,
    done: Cleaned,
    skipped: Skipped<T::Key>,
    refused: BTreeSet<T::Key>,
    /// Single keys that failed by an error whose cause may be the role or the database.
    vain: u32,
    /// The first such error.
    failed: Option<Error>,
}

impl<'i, T: Task> Round<'i, T> {
    pub(crate) fn new(executor: &'i Executor, rate_limit: Option<u32>, task: &'i T) -> Self {
        Self {
            executor,
            task,
            rate: RateLimit::new(rate_limit),
            size: Size::new(rate_limit),
            done: Cleaned::default(),
            skipped: Skipped::new(),
            refused: BTreeSet::new(),
            vain: 0,
            failed: None,
        }
    }

    /// Cleans up every row that is due, once, page by page.
    pub(crate) async fn pass(&mut self) -> Result<(), Error> {
        let mut next = Some(T::start());
        while let Some(after) = next {
            let (started, limit) = (Instant::now(), self.size.rows());
            let page = self.page(&after, limit).await?;
            next = page.next;
            let mut due = page.due;
            due.retain(|due| {
                let key = T::key(due);
                !self.skipped.contains(key) && !self.refused.contains(key)
            });
            let rows = due.len() as u64;
            for key in self.clean(due).await? {
                self.skipped.add(key);
            }
            self.size.took(limit, started.elapsed());
            self.rate.rest(rows).await;
        }
        Ok(())
    }

    /// Tries skipped keys again, until none is left or the policy's deadline has passed.
    pub(crate) async fn come_back(&mut self) -> Result<(), Error> {
        let limit = self.executor.policy().deadline().unwrap_or(COME_BACK);
        let (started, mut pause) = (Instant::now(), FIRST_PAUSE);
        while !self.skipped.is_empty() && started.elapsed().saturating_add(pause) <= limit {
            sleep(pause).await;
            let before = self.done;
            self.try_again().await?;
            self.try_directly().await?;
            pause = if self.done == before {
                LONGEST_PAUSE.min(pause * 2)
            } else {
                FIRST_PAUSE
            };
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Cleaned, Error> {
        let mut done = self.done;
        if let Some(error) = self.failed
            && !done.cleanup.has_effect()
            && done.keys == 0
        {
            return Err(error);
        }
        done.cleanup.skipped = self.skipped.count();
        if done.cleanup.skipped > 0 {
            debug!(target: "optilock::cleanup", what = T::WHAT, skipped = done.cleanup.skipped, "rows are locked by other transactions");
        }
        Ok(done)
    }

    async fn try_again(&mut self) -> Result<(), Error> {
        let mut all = self.skipped.keys();
        while !all.is_empty() {
            let limit = self.size.rows();
            let rest = all.split_off(all.len().min(usize::try_from(limit).unwrap_or(all.len())));
            let mut keys = std::mem::replace(&mut all, rest);
            while !keys.is_empty() {
                let started = Instant::now();
                let due = self.due_of(&keys, limit).await?;
                let rows = due.len() as u64;
                // No longer due: they were not locked but changed.
                self.done.cleanup.gone |= due.is_empty();
                let left: BTreeSet<_> = self.clean(due).await?.into_iter().collect();
                let done = rows < limit;
                keys.retain(|key| {
                    if self.refused.contains(key) {
                        self.skipped.remove(key);
                        return false;
                    }
                    let is_left = left.contains(key);
                    if is_left {
                        self.skipped.add(key.clone());
                    } else if done {
                        self.skipped.remove(key);
                    }
                    !is_left && !done
                });
                self.size.took(rows, started.elapsed());
                self.rate.rest(rows).await;
            }
        }
        Ok(())
    }

    /// Makes attempts that wait for a lock, for a few keys that were skipped often: a row in demand is locked
    /// whenever it is read.
    async fn try_directly(&mut self) -> Result<(), Error> {
        let mut failed = 0;
        while failed < DIRECT_ATTEMPTS {
            let stubborn = self.skipped.stubborn();
            if stubborn.is_empty() {
                return Ok(());
            }
            // Chosen at random, so that a key that stays locked does not block the others.
            let first = rand::random_range(0..stubborn.len());
            let (before, key) = (self.done, stubborn[first].clone());
            // The next keys are often of the same product, which the attempt locks anyway.
            let rows = usize::try_from(self.size.rows()).unwrap_or(usize::MAX);
            let mut keys: Vec<_> = stubborn[first..].iter().take(rows).cloned().collect();
            let started = Instant::now();
            let mut result = self.directly(&key, &keys).await;
            if result.as_ref().is_err_and(Error::is_refused_row) && keys.len() > 1 {
                keys.truncate(1);
                result = self.directly(&key, &keys).await;
            }
            match result {
                Ok((rows, cleaned)) => {
                    self.done = self.done.plus(cleaned.done);
                    let left: BTreeSet<_> = cleaned.left.into_iter().collect();
                    // If the page was full, rows of the other keys may be left.
                    if rows < self.size.rows() {
                        for key in keys.iter().filter(|key| !left.contains(*key)) {
                            self.skipped.remove(key);
                        }
                    }
                    self.size.took(rows, started.elapsed());
                    self.rate.rest(rows).await;
                }
                // Or the product was deleted.
                Err(refused) if refused.is_refused_row() || refused.is_not_found() => {
                    self.skipped.remove(&key);
                    self.refuse(key, &refused);
                }
                Err(error) if error.is_retried() || error.is_cancelled() => {}
                Err(error) => return Err(error),
            }
            if self.done == before {
                failed += 1;
            }
        }
        Ok(())
    }

    /// Makes one attempt that waits for the locks of `key`, and then cleans up those of `keys` that are not
    /// locked.
    async fn directly(
        &self,
        key: &T::Key,
        keys: &[T::Key],
    ) -> Result<(u64, CleanedPage<T::Key>), Error> {
        let (task, limit) = (self.task, self.size.rows());
        let work: Work<'_, '_, _> = &|conn, _| {
            Box::pin(async move {
                let wait = sqlx::raw_sql(WAIT_SHORTLY).execute(&mut **conn);
                wait.await.map_err(Error::before)?;
                task.lock(conn, key).await?;
                let due = task.due_of(conn, keys, limit).await?;
                let cleaned = task.clean(conn, &due).await?;
                Ok((due.len() as u64, cleaned))
            })
        };
        let result = self.executor.locking_attempt(Attempt::FIRST, work).await;
        result.map_err(|failed| failed.error)
    }

    async fn page(&self, after: &T::Cursor, limit: u64) -> Result<Page<T>, Error> {
        let task = self.task;
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(task.page(conn, after, limit));
        self.executor.read(T::LABEL, work).await
    }

    async fn due_of(&self, keys: &[T::Key], limit: u64) -> Result<Vec<T::Due>, Error> {
        let task = self.task;
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(task.due_of(conn, keys, limit));
        self.executor.read(T::LABEL, work).await
    }

    /// Cleans these rows up. Returns the keys of locked rows, and finds rows that the database refuses by
    /// halving the batch.
    async fn clean(&mut self, due: Vec<T::Due>) -> Result<Vec<T::Key>, Error> {
        let (mut parts, mut left) = (vec![due], Vec::new());
        let mut halved = false;
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let result = if halved {
                self.batch_once(&part).await
            } else {
                self.batch(&part).await
            };
            match result {
                // Rows that an earlier attempt with an unknown outcome has cleaned up are not found again; the
                // counts miss them.
                Ok(cleaned) => {
                    let nothing = cleaned.done == Cleaned::default() && cleaned.left.is_empty();
                    self.done.cleanup.gone |= nothing;
                    self.done = self.done.plus(cleaned.done);
                    left.extend(cleaned.left);
                }
                // Clean-ups wait for no lock, so no race is lost: an error that retries do not resolve may be
                // caused by one row, whatever its code.
                Err(error) if error.is_refused_row() || error.is_of_statement() => {
                    halved = true;
                    let keys: BTreeSet<_> = part.iter().map(T::key).cloned().collect();
                    let middle = keys.iter().nth(keys.len() / 2).filter(|_| keys.len() > 1);
                    match middle {
                        _ if self.refused.len() >= MOST_REFUSED => self.leave(keys, &error),
                        Some(middle) => {
                            let half = part.extract_if(.., |due| T::key(due) >= middle).collect();
                            parts.extend([half, part]);
                        }
                        None => {
                            keys.into_iter().for_each(|key| self.refuse(key, &error));
                            if !error.is_refused_row() {
                                self.vain += 1;
                                if self.vain >= MOST_VAIN && !self.done.cleanup.has_effect() {
                                    return Err(error);
                                }
                                self.failed.get_or_insert(error);
                            }
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(left)
    }

    /// Cleans one batch up, with the retries of the policy.
    async fn batch(&self, due: &[T::Due]) -> Result<CleanedPage<T::Key>, Error> {
        let task = self.task;
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(task.clean(conn, due));
        self.executor.locked(T::LABEL, work).await
    }

    async fn batch_once(&self, due: &[T::Due]) -> Result<CleanedPage<T::Key>, Error> {
        let task = self.task;
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(task.clean(conn, due));
        let result = self.executor.locking_attempt(Attempt::FIRST, work).await;
        result.map_err(|failed| failed.error)
    }

    fn refuse(&mut self, key: T::Key, error: &Error) {
        let cause: &(dyn std::error::Error + 'static) = error;
        if self.refused.len() < MOST_NAMED {
            warn!(target: "optilock::cleanup", what = T::WHAT, id = %key, error = cause, "refused by the database");
        } else {
            debug!(target: "optilock::cleanup", what = T::WHAT, id = %key, error = cause, "refused by the database");
        }
        self.count_refused(1);
        self.refused.insert(key);
    }

    /// Counts a part of a batch as refused without a search for its refused rows.
    fn leave(&mut self, keys: BTreeSet<T::Key>, error: &Error) {
        let (count, cause): (_, &(dyn std::error::Error + 'static)) = (keys.len() as u64, error);
        warn!(target: "optilock::cleanup", what = T::WHAT, count, error = cause, "rows are left, as too many are refused");
        self.count_refused(count);
    }

    fn count_refused(&mut self, count: u64) {
        self.done.cleanup.refused += count;
        crate::metrics::cleanup_refused(T::WHAT, count);
    }
}

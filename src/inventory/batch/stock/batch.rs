//! A batch while it is written: its attempts, and what becomes of the requests that it could not make.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use super::{
    attempt, refuse,
    request::{Answer, Request},
    shared::Shared,
    trace::Trace,
};
use crate::{
    Class, Classify,
    inventory::{
        batch::{
            connection::Connection,
            job::{Verdict, Written},
        },
        model::Error,
        postgres::hook::{BatchAnswer, FailedCall, TakenOut},
    },
    postgres::{Failed, OfSqlx},
};

/// How often a part of a batch is written once more without the checkouts that the hook refused, before it is
/// divided.
const REFUSALS: u32 = 3;

/// A batch while it is written.
pub(super) struct Batch<'a> {
    shared: &'a Shared,
    requests: Vec<&'a Request>,
    verdicts: Vec<Option<Verdict<Answer>>>,
    blocked: bool,
}

/// Indexes of requests that are written together.
type Part = Vec<usize>;

/// How a part of a batch goes on after an attempt.
enum Next {
    Done,
    /// Another attempt.
    Again,
    /// Half of the requests each.
    Divide,
}

impl<'a> Batch<'a> {
    pub(super) fn new(shared: &'a Shared, requests: &'a [Arc<Request>]) -> Self {
        Self {
            shared,
            requests: requests.iter().map(|request| &**request).collect(),
            verdicts: requests.iter().map(|_| None).collect(),
            blocked: false,
        }
    }

    /// Writes all requests by one statement. If the database or the hook refuses some of them, by two statements
    /// of half of them, and so on: a request that is refused fails alone.
    pub(super) async fn write(mut self, conn: &mut Connection) -> Written<Answer> {
        let mut parts: Vec<Part> = vec![(0..self.requests.len()).collect()];
        while let Some(part) = parts.pop() {
            if let Some(mut first) = self.write_part(conn, part).await {
                let second = first.split_off(first.len() / 2);
                parts.extend([second, first]);
            }
        }
        self.refuse(conn).await;
        let undecided = || Verdict::Bypass { in_doubt: false };
        for (request, verdict) in self.requests.iter().zip(&self.verdicts) {
            if let Some(Verdict::Final(answer)) = verdict {
                let executor = self.shared.inventory.executor();
                executor.count_batched(request.label(), answer.as_ref().err());
            }
        }
        Written {
            verdicts: self
                .verdicts
                .into_iter()
                .map(|it| it.unwrap_or_else(undecided))
                .collect(),
            blocked: self.blocked,
        }
    }

    /// Answers the requests that can't be made. What is still undecided bypasses the queue.
    async fn refuse(&mut self, conn: &mut Connection) {
        let may_be_refused =
            |request| matches!(request, &Request::Checkout(..) | &Request::Reserve(_));
        let open = 0..self.requests.len();
        let open = open.filter(|index| self.verdicts[*index].is_none());
        let open: Vec<usize> = open
            .filter(|index| may_be_refused(self.requests[*index]))
            .collect();
        let (Some(lease), false) = (conn.get_if_held(), open.is_empty()) else {
            return;
        };
        let requests: Vec<&Request> = open.iter().map(|index| self.requests[*index]).collect();
        match refuse::refused(&mut self.shared.inventory.schema().on(lease), &requests).await {
            Ok(refused) => {
                for (index, error) in refused {
                    self.verdicts[open[index]] = Some(Verdict::Final(Err(error)));
                }
            }
            // The plain statements of the inventory find out why.
            Err(_) => drop(conn.take()),
        }
    }

    /// Writes a part of the requests. Returns what is left to divide.
    async fn write_part(&mut self, conn: &mut Connection, mut part: Part) -> Option<Part> {
        let (mut number, mut refusals) = (1, 0);
        // Two attempts are planned from known facts; the third one locks the rows.
        while number <= 3 && !part.is_empty() {
            let requests: Vec<&Request> = part.iter().map(|index| self.requests[*index]).collect();
            let trace = Trace::default();
            let written = if number < 3 {
                let careful = number > 1 || self.shared.careful.load(Relaxed);
                attempt::planned(self.shared, conn, &requests, careful, &trace).await
            } else {
                drop(conn.take());
                attempt::locked(self.shared, &requests, &trace).await
            };
            let failed = match written {
                Ok(Some(answers)) => {
                    for (index, answer) in answers {
                        self.verdicts[part[index]] = Some(Verdict::Final(Ok(answer)));
                    }
                    return None;
                }
                Ok(None) => {
                    number += 1;
                    continue;
                }
                Err(failed) => failed,
            };
            if let Some((answer, asked)) = trace.hook() {
                let asked: Vec<usize> = asked.into_iter().map(|index| part[index]).collect();
                match answer {
                    BatchAnswer::TakenOut(refused) => {
                        let refused = self.take_out(refused, &asked);
                        part.retain(|index| !refused.contains(index));
                        refusals += 1;
                        if refusals >= REFUSALS && part.len() > 1 {
                            return Some(part);
                        }
                        continue;
                    }
                    BatchAnswer::Failed(call) => match failed.class {
                        Class::Unknown => self.fail(&call, &asked),
                        // The connection was lost in the hook, for instance.
                        Class::Conflict | Class::Busy { .. } => {
                            drop(conn.take());
                            number += 1;
                            continue;
                        }
                        Class::Permanent => {}
                    },
                    BatchAnswer::Accepted => {}
                }
                return None;
            }
            match self.after(conn, &mut part, failed, &trace).await {
                Next::Again => number += 1,
                Next::Divide => return Some(part),
                Next::Done => return None,
            }
        }
        None
    }

    /// Decides how a part goes on after an error of the database.
    async fn after(
        &mut self,
        conn: &mut Connection,
        part: &mut Part,
        failed: Failed<Error>,
        trace: &Trace,
    ) -> Next {
        let error = &failed.error;
        if let Some(mut lease) = conn.take()
            && lease.recover(error.refusal()).await
        {
            // It has prepared its statements again, after a change of the schema.
            conn.put(lease);
            return Next::Again;
        }
        match failed.class {
            Class::Conflict => {
                // Most likely an id or a key that is taken, and more of them may follow.
                self.shared.careful.store(true, Relaxed);
                Next::Again
            }
            Class::Unknown => {
                for index in trace.sent().into_iter().map(|index| part[index]) {
                    if let Some(doubt) = self.requests[index].doubt() {
                        doubt.lose();
                    }
                    self.verdicts[index] = Some(Verdict::Bypass { in_doubt: true });
                }
                // Once more, without what exists by then. A step has no id of its own by which to find it.
                part.retain(|index| self.requests[*index].is_new_row());
                Next::Again
            }
            _ if error.is_lock_timeout() => {
                self.blocked = true;
                for index in part.iter() {
                    self.verdicts[*index].get_or_insert(Verdict::Again);
                }
                Next::Done
            }
            Class::Permanent if part.len() > 1 && error.is_refused_row() => Next::Divide,
            _ => Next::Done,
        }
    }

    /// Answers the checkouts that the hook refused, and returns their indexes.
    fn take_out(&mut self, refused: Vec<TakenOut>, asked: &[usize]) -> Vec<usize> {
        let mut indexes = Vec::with_capacity(refused.len());
        for TakenOut { index, error } in refused {
            let index = asked[index];
            indexes.push(index);
            // A refusal does not settle an earlier attempt in doubt: the request goes direct, which does.
            self.verdicts[index].get_or_insert(match error.class() {
                Class::Permanent => Verdict::Final(Err(error)),
                // Attempted again, as without a batch.
                _ => Verdict::Bypass { in_doubt: false },
            });
        }
        indexes
    }

    /// Answers the checkouts of a call of the hook that failed with an unknown outcome.
    fn fail(&mut self, failed: &FailedCall, asked: &[usize]) {
        for index in asked {
            if let Request::Checkout(request, _) = self.requests[*index] {
                let error = failed.error_of(request.id);
                self.verdicts[*index] = Some(Verdict::Final(Err(error)));
            }
        }
    }
}

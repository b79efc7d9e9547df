//! The job of requests that change stock: one statement writes many of them, also of different kinds.

mod attempt;
mod changes;
mod known;
mod plan;
mod read;
pub(super) mod request;
pub(super) mod sql;
mod write;

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::job::{Direct, Job, Keys, Verdict, Written};
use crate::{
    Class,
    inventory::{
        model::Error,
        postgres::{
            PgInventory,
            orders::{self, returns},
            reservations::{self, reserve},
        },
    },
    postgres::{BoxFuture, Lease, OfSqlx, Work},
};

use attempt::FailedBatch;
use known::Memory;
use request::{Answer, Request};

/// The job of requests that change stock.
#[derive(Debug)]
pub(super) struct Stock {
    pub(super) inventory: PgInventory,
    /// The facts of the last answers of the database.
    memory: Memory,
    /// The last batch contained an id or a key that already exists.
    careful: AtomicBool,
}

impl Stock {
    pub(super) fn new(inventory: PgInventory) -> Self {
        Self {
            inventory,
            memory: Memory::default(),
            careful: AtomicBool::new(false),
        }
    }
}

impl Job for Stock {
    type Request = Request;
    type Answer = Answer;

    const LANE: &'static str = "stock";

    fn keys(&self, request: &Request) -> Keys {
        request.keys()
    }

    fn weight(&self, request: &Request) -> usize {
        request.weight()
    }

    fn write<'a>(
        &'a self,
        conn: &'a mut Option<Lease>,
        batch: &'a [Arc<Request>],
    ) -> BoxFuture<'a, Written<Answer>> {
        Box::pin(Batch::new(self, batch).write(conn))
    }

    fn direct<'a>(
        &'a self,
        request: &'a Arc<Request>,
        how: Direct,
    ) -> BoxFuture<'a, Result<Answer, Error>> {
        Box::pin(self.make(request, how))
    }

    fn lost(&self, request: &Request) {
        self.memory.forget([request]);
        if let Some(doubt) = request.doubt() {
            doubt.lose();
        }
    }
}

impl Stock {
    /// Makes one request by the statements of the inventory behind.
    async fn make(&self, request: &Request, how: Direct) -> Result<Answer, Error> {
        let inventory = &self.inventory;
        let executor = inventory.executor();
        match request {
            Request::Checkout(request) => {
                let clock = inventory.traffic().clock();
                let sold = inventory.sale(request).exactly_once(&clock, how.in_doubt);
                let answer = sold.await;
                clock.stop(&answer);
                answer.map(Answer::Order)
            }
            Request::Reserve(request) => {
                let reserved = reserve::exactly_once(executor, request, how.in_doubt).await;
                reserved.map(Answer::Reservation)
            }
            Request::Extend { id, by } => {
                let work: Work<'_, '_, _> =
                    &|conn, _| Box::pin(reservations::extend(conn, *id, *by));
                let extended = reservations::step(executor, "extend", how.in_doubt, work).await;
                extended.map(Answer::Reservation)
            }
            Request::Release(id) => {
                let work: Work<'_, '_, _> = &|conn, _| Box::pin(reservations::release(conn, *id));
                let released = reservations::step(executor, "release", how.in_doubt, work).await;
                released.map(|()| Answer::Released)
            }
            Request::Cancel(step, doubt) => {
                let cancelled = orders::change::step(executor, step, doubt).await;
                cancelled.map(Answer::Order)
            }
            Request::Return(request, doubt) => {
                let expected = request.expected;
                let work: Work<'_, '_, _> =
                    &|conn, _| Box::pin(returns::make(conn, request, doubt));
                let label = "return items";
                let made =
                    orders::change::exactly_once(executor, label, expected, doubt, work).await;
                made.map(Answer::Order)
            }
        }
    }
}

/// A batch while it is written.
struct Batch<'a> {
    stock: &'a Stock,
    requests: Vec<&'a Request>,
    verdicts: Vec<Option<Verdict<Answer>>>,
    blocked: bool,
}

impl<'a> Batch<'a> {
    fn new(stock: &'a Stock, requests: &'a [Arc<Request>]) -> Self {
        Self {
            stock,
            requests: requests.iter().map(|request| &**request).collect(),
            verdicts: requests.iter().map(|_| None).collect(),
            blocked: false,
        }
    }

    /// Writes all requests by one statement. If the database refuses their data, by two statements of half of
    /// them, and so on: a request that is refused fails alone.
    async fn write(mut self, conn: &mut Option<Lease>) -> Written<Answer> {
        let mut parts = vec![0..self.requests.len()];
        while let Some(part) = parts.pop() {
            if let Some(middle) = self.write_part(conn, part.clone()).await {
                parts.extend([middle..part.end, part.start..middle]);
            }
        }
        let verdicts = self.verdicts.into_iter();
        let undecided = || Verdict::Bypass { in_doubt: false };
        Written {
            verdicts: verdicts.map(|it| it.unwrap_or_else(undecided)).collect(),
            blocked: self.blocked,
        }
    }

    /// Writes a part of the requests. Returns where to divide it if their data was refused.
    async fn write_part(&mut self, conn: &mut Option<Lease>, part: Range<usize>) -> Option<usize> {
        let requests = &self.requests[part.clone()];
        // Two attempts are planned from known facts; the third one locks the rows.
        for number in 1..=3 {
            let answers = if number < 3 {
                let careful = number > 1 || self.stock.careful.load(Relaxed);
                attempt::planned(self.stock, conn, requests, careful).await
            } else {
                *conn = None;
                attempt::locked(self.stock, requests).await
            };
            match answers {
                Ok(Some(answers)) => {
                    for (index, answer) in answers {
                        self.verdicts[part.start + index] = Some(Verdict::Final(Ok(answer)));
                    }
                    return None;
                }
                Ok(None) => {}
                Err(FailedBatch { error, sent }) => {
                    if let Some(mut lease) = conn.take() {
                        lease.recover(error.error.refusal()).await;
                    }
                    match error.class {
                        // Most likely an id or a key that is taken, and more of them may follow.
                        Class::Conflict => self.stock.careful.store(true, Relaxed),
                        Class::Unknown => {
                            for index in sent {
                                let doubt = self.requests[part.start + index].doubt();
                                doubt.into_iter().for_each(orders::doubt::Doubt::lose);
                                let in_doubt = Verdict::Bypass { in_doubt: true };
                                self.verdicts[part.start + index] = Some(in_doubt);
                            }
                            return None;
                        }
                        _ if error.error.is_lock_timeout() => {
                            self.blocked = true;
                            self.verdicts[part].fill_with(|| Some(Verdict::Again));
                            return None;
                        }
                        Class::Permanent if part.len() > 1 && error.error.is_refused_row() => {
                            return Some(part.start + part.len() / 2);
                        }
                        _ => return None,
                    }
                }
            }
        }
        None
    }
}

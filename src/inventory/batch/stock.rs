//! The job of requests that change stock: one statement writes many of them, also of different kinds.

mod answers;
mod attempt;
mod batch;
mod bind;
mod changes;
mod known;
mod plan;
mod read;
mod refuse;
pub(super) mod request;
mod shared;
pub(super) mod sql;
mod trace;
mod write;

use std::sync::Arc;

use super::{
    connection::Connection,
    job::{Direct, Job, Keys, Written},
};
use crate::{
    inventory::{
        model::Error,
        postgres::{
            PgInventory,
            checkout::Sale,
            executor::{Executor, Work},
            orders::{self, returns},
            reservations::{self, reserve},
        },
    },
    postgres::BoxFuture,
};

use batch::Batch;
use request::{Answer, Request};
use shared::Shared;

/// The job of requests that change stock.
#[derive(Debug)]
pub(super) struct Stock {
    shared: Shared,
    /// Its attempts wait for locks as long as batches do.
    limited: Executor,
}

impl Stock {
    pub(super) fn new(inventory: PgInventory) -> Self {
        Self {
            limited: inventory.executor().limited(),
            shared: Shared::new(inventory),
        }
    }

    pub(super) const fn inventory(&self) -> &PgInventory {
        &self.shared.inventory
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
        conn: &'a mut Connection,
        batch: &'a [Arc<Request>],
    ) -> BoxFuture<'a, Written<Answer>> {
        Box::pin(Batch::new(&self.shared, batch).write(conn))
    }

    fn direct<'a>(
        &'a self,
        request: &'a Arc<Request>,
        how: Direct,
    ) -> BoxFuture<'a, Result<Answer, Error>> {
        Box::pin(self.make(request, how))
    }

    fn lost(&self, request: &Request) {
        self.shared.memory.forget([request]);
        if let Some(doubt) = request.doubt() {
            doubt.lose();
        }
    }
}

impl Stock {
    /// Makes one request by the statements of the inventory behind.
    async fn make(&self, request: &Request, how: Direct) -> Result<Answer, Error> {
        let executor = match how.lock_limit {
            true => &self.limited,
            false => self.shared.inventory.executor(),
        };
        match request {
            Request::Checkout(request, clock) => {
                let sale = self.shared.inventory.sale(request);
                let sale = Sale { executor, ..sale };
                let sold = sale.exactly_once(clock, how.in_doubt).await;
                sold.map(Answer::Order)
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

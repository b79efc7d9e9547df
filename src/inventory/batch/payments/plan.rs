//! What the requests of a batch make of their orders, in memory.

use std::{collections::HashMap, sync::Arc};

use super::request::Request;
use crate::{
    Version,
    inventory::{
        batch::job::Verdict,
        model::{Error, Order, OrderId, order_step::Judged},
    },
};

/// An order as it was read.
#[derive(Debug)]
pub(super) struct Read {
    order: Order,
    is_fresh: bool,
}

impl Read {
    /// An order that the batch itself has read.
    pub(super) const fn fresh(order: Order) -> Self {
        let is_fresh = true;
        Self { order, is_fresh }
    }

    /// An order that may have been changed since it became known. Its first request begins on it.
    pub(super) const fn known(order: Order) -> Self {
        let is_fresh = false;
        Self { order, is_fresh }
    }
}

/// A change of an order, and the requests that are answered by it.
#[derive(Debug)]
pub(super) struct Change<'a> {
    /// The index of its request in the batch.
    pub(super) index: usize,
    pub(super) request: &'a Request,
    /// The version at which the order was read.
    pub(super) read: Version,
    pub(super) is_fresh: bool,
    /// The order as the request leaves it.
    pub(super) made: Order,
    /// The indexes of later requests for the order, and their answers if the change is written.
    pub(super) followers: Vec<(usize, Result<Order, Error>)>,
}

/// Judges the requests in the order of arrival, each by the order as the ones before leave it. Decides those that
/// depend on no change. A second change of an order waits for the next batch.
pub(super) fn plan<'a>(
    batch: &'a [Arc<Request>],
    orders: &HashMap<OrderId, Read>,
    verdicts: &mut [Verdict<Order>],
) -> Vec<Change<'a>> {
    let mut changes: Vec<Change<'a>> = Vec::with_capacity(batch.len());
    let mut changed: HashMap<OrderId, usize> = HashMap::with_capacity(batch.len());
    for (index, request) in batch.iter().enumerate() {
        let id = request.step.id;
        // An order that is missing or archived is looked at alone.
        let Some(read) = orders.get(&id) else {
            continue;
        };
        let earlier = changed.get(&id).copied();
        let order = earlier.map_or(&read.order, |earlier| &changes[earlier].made);
        match (judge(request, order), earlier) {
            (Judgement::Begins(made), None) => {
                changed.insert(id, changes.len());
                changes.push(Change {
                    index,
                    request,
                    read: read.order.version,
                    is_fresh: read.is_fresh,
                    made,
                    followers: Vec::new(),
                });
            }
            (Judgement::Begins(_), Some(_)) => verdicts[index] = Verdict::Again,
            (Judgement::Answer(answer), Some(earlier)) => {
                changes[earlier].followers.push((index, answer));
            }
            (Judgement::Answer(answer), None) => verdicts[index] = Verdict::Final(answer),
        }
    }
    changes
}

enum Judgement {
    /// The order as the request leaves it.
    Begins(Order),
    Answer(Result<Order, Error>),
}

fn judge(request: &Request, order: &Order) -> Judgement {
    match request.step.judge(order) {
        Ok(Judged::Begins) => match request.step.made(order) {
            Ok(made) => Judgement::Begins(made),
            Err(error) => Judgement::Answer(Err(error)),
        },
        Ok(Judged::Made) => {
            let mut replayed = order.clone();
            replayed.replayed = true;
            Judgement::Answer(Ok(replayed))
        }
        Err(refusal) => Judgement::Answer(Err(refusal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::model::{OrderStatus, OrderStep};

    fn order() -> Order {
        Order::new(OrderId::new(), Vec::new(), chrono::Utc::now()).unwrap()
    }

    fn planned(
        steps: Vec<OrderStep>,
        read: Vec<Read>,
    ) -> (Vec<Verdict<Order>>, Vec<(usize, usize)>) {
        let batch: Vec<_> = steps
            .into_iter()
            .map(|step| Arc::new(Request::new(step)))
            .collect();
        let orders = read.into_iter().map(|read| (read.order.id, read)).collect();
        let undecided = || Verdict::Bypass { in_doubt: false };
        let mut verdicts: Vec<_> = batch.iter().map(|_| undecided()).collect();
        let changes = plan(&batch, &orders, &mut verdicts);
        let changes = changes.iter().map(|it| (it.index, it.followers.len()));
        let changes = changes.collect();
        (verdicts, changes)
    }

    #[test]
    fn each_request_is_judged_by_the_order_as_the_ones_before_leave_it() {
        let (order, mut paid) = (order(), order());
        paid.status = OrderStatus::Paid;
        let (id, paid_id) = (order.id, paid.id);
        let (verdicts, changes) = planned(
            vec![
                OrderStep::mark_payment_failed(id),
                OrderStep::mark_paid(paid_id),
                OrderStep::mark_payment_failed(id),
                OrderStep::mark_paid(id),
                OrderStep::mark_payment_failed(paid_id),
                OrderStep::mark_paid(OrderId::new()),
            ],
            vec![Read::fresh(order), Read::fresh(paid)],
        );
        assert_eq!(changes, [(0, 1)]);
        // Its answer depends on the statement, as that of the one that follows it.
        assert!(matches!(verdicts[0], Verdict::Bypass { .. }));
        assert!(matches!(verdicts[2], Verdict::Bypass { .. }));
        assert!(matches!(&verdicts[1], Verdict::Final(Ok(order)) if order.replayed));
        assert!(matches!(verdicts[3], Verdict::Again));
        assert!(
            matches!(&verdicts[4], Verdict::Final(Err(error)) if error.order_state().is_some())
        );
        assert!(matches!(verdicts[5], Verdict::Bypass { .. }));
    }

    #[test]
    fn a_request_that_contradicts_one_before_is_refused_with_it() {
        let order = order();
        let id = order.id;
        let paid_then_failed = vec![
            OrderStep::mark_paid(id).expecting_version(order.version),
            OrderStep::mark_payment_failed(id),
            OrderStep::mark_paid(id).expecting_version(order.version),
        ];
        let (verdicts, changes) = planned(paid_then_failed, vec![Read::known(order)]);
        assert_eq!(changes, [(0, 2)]);
        assert!(
            verdicts
                .iter()
                .all(|it| matches!(it, Verdict::Bypass { in_doubt: false }))
        );
    }
}

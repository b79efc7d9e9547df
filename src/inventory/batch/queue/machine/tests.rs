use super::*;

mod beside;
mod counts;
mod passed;

const LIMITS: Limits = Limits {
    batch: 3,
    lines: 10,
    queue: 100,
    connections: 8,
    follow: usize::MAX,
    attempts: 2,
    always: true,
    beside: true,
};

const A: u64 = 1;
const B: u64 = 2;
const C: u64 = 3;

/// A machine whose worker exists, and asks when the test says so.
struct Tested {
    machine: Machine,
    last: u64,
}

impl Tested {
    fn new(limits: Limits) -> Self {
        let machine = Machine::new(limits);
        Self { machine, last: 0 }
    }

    fn admit(&mut self, keys: &[u64]) -> (Ticket, Actions) {
        self.admit_of(keys, 1)
    }

    fn admit_of(&mut self, keys: &[u64], weight: usize) -> (Ticket, Actions) {
        self.last += 1;
        let ticket = Ticket(self.last);
        let keys = keys.iter().copied().collect();
        let admit = Event::Admit {
            ticket,
            keys,
            weight,
        };
        (ticket, self.machine.on(admit))
    }

    fn queue(&mut self, keys: &[u64]) -> Ticket {
        let (ticket, actions) = self.admit(keys);
        assert_eq!(actions[0], Action::Queued);
        ticket
    }

    fn take(&mut self) -> Actions {
        let worker = self.machine.worker.expect("a worker");
        self.machine.on(Event::Take(worker))
    }

    /// Takes the only batch that may start.
    fn batch(&mut self) -> (BatchId, Vec<Ticket>) {
        match &*self.take() {
            [Action::Start { batch, tickets, .. }] => (*batch, tickets.clone()),
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, batch: BatchId, fates: &[Fate], blocked: bool) -> Actions {
        let fates = fates.to_vec();
        let ended = Event::Ended {
            batch,
            fates,
            blocked,
        };
        let woken = |action: &Action| *action == Action::Wake;
        let mut actions = self.machine.on(ended);
        actions.retain(|action| !woken(action));
        actions
    }
}

const fn grant(ticket: Ticket, in_doubt: bool) -> Action {
    Action::Grant { ticket, in_doubt }
}

const fn refuse(ticket: Ticket) -> Action {
    let in_doubt = false;
    Action::Refuse { ticket, in_doubt }
}

const UNDECIDED: Fate = Fate::Bypass { in_doubt: false };

#[test]
fn a_batch_takes_the_oldest_requests_that_fit() {
    let mut tested = Tested::new(LIMITS);
    let (first, actions) = tested.admit(&[A]);
    assert_eq!(actions, [Action::Queued, Action::Spawn(Generation(1))]);
    let (second, actions) = tested.admit(&[B]);
    assert_eq!(actions, [Action::Queued, Action::Wake]);
    let (third, fourth) = (tested.queue(&[A]), tested.queue(&[A]));
    let (batch, tickets) = tested.batch();
    assert_eq!(tickets, [first, second, third]);
    assert_eq!(tested.take(), []);
    let actions = tested.end(batch, &[Fate::Final; 3], false);
    let answer = |index, ticket| Action::Answer { ticket, index };
    assert_eq!(
        actions,
        [answer(0, first), answer(1, second), answer(2, third)]
    );
    let (batch, tickets) = tested.batch();
    assert_eq!(tickets, [fourth]);
    tested.end(batch, &[Fate::Final], false);
    assert_eq!(tested.take(), [Action::Rest]);
    assert!(tested.machine.is_idle());
    // A request of many lines is a batch of its own.
    let large = tested.admit_of(&[A], 11).0;
    let small = tested.queue(&[A]);
    let (batch, tickets) = tested.batch();
    assert_eq!(tickets, [large]);
    tested.end(batch, &[Fate::Final], false);
    assert_eq!(tested.batch().1, [small]);
}

#[test]
fn a_request_whose_caller_has_left_is_in_no_batch() {
    let mut tested = Tested::new(LIMITS);
    let tickets = [A, A, A].map(|key| tested.queue(&[key]));
    assert_eq!(
        tested.machine.on(Event::Left(tickets[1])),
        [Action::Forget(tickets[1]), Action::Wake]
    );
    let (batch, taken) = tested.batch();
    assert_eq!(taken, [tickets[0], tickets[2]]);
    tested.machine.on(Event::Left(tickets[0]));
    let actions = tested.end(batch, &[UNDECIDED, UNDECIDED], false);
    assert_eq!(actions, [grant(tickets[2], false)]);
}

#[test]
fn beside_a_slow_batch_requests_of_other_keys_are_written() {
    let mut tested = Tested::new(LIMITS);
    let first = tested.queue(&[A]);
    let (slow, _) = tested.batch();
    let (second, other) = (tested.queue(&[A, B]), tested.queue(&[C]));
    assert_eq!(tested.take(), []);
    tested.machine.on(Event::Slow(slow));
    let (batch, tickets) = tested.batch();
    assert_eq!(tickets, [other]);
    assert_eq!(tested.machine.depth(), 1);
    tested.end(batch, &[Fate::Final], false);
    assert_eq!(tested.take(), []);
    // What was parked leaves with its caller, or is queued again.
    let third = tested.queue(&[A]);
    assert_eq!(tested.take(), []);
    tested.machine.on(Event::Left(second));
    tested.end(slow, &[Fate::Again], true);
    assert_eq!(tested.batch().1, [first, third]);
}

#[test]
fn suspect_keys_are_batched_with_what_is_connected_until_a_batch_succeeds() {
    let mut tested = Tested::new(Limits {
        attempts: 9,
        ..LIMITS
    });
    let tickets = [A, B, A].map(|key| tested.queue(&[key]));
    let (batch, _) = tested.batch();
    tested.end(batch, &[Fate::Again; 3], true);
    let clean = tested.queue(&[C]);
    // Batches of suspect keys count as slow, so that the others start beside them.
    let start = |batch, tickets: &[Ticket]| Action::Start {
        batch: BatchId(batch),
        tickets: tickets.to_vec(),
        follows: None,
    };
    assert_eq!(
        tested.take(),
        [
            start(2, &[tickets[0], tickets[2]]),
            start(3, &[tickets[1]]),
            start(4, &[clean])
        ]
    );
    tested.end(BatchId(3), &[Fate::Final], false);
    tested.end(BatchId(4), &[Fate::Final], false);
    let b = tested.queue(&[B]);
    let c = tested.queue(&[C]);
    assert_eq!(tested.batch().1, [b, c]);
    // Of suspect keys, two batches at most.
    tested.end(BatchId(5), &[Fate::Again; 2], true);
    assert_eq!(tested.batch().1, [b]);
    assert_eq!(tested.machine.depth(), 1);
    tested.end(BatchId(2), &[Fate::Final; 2], false);
    assert_eq!(tested.batch().1, [c]);
}

#[test]
fn a_request_is_refused_after_as_many_blocked_batches_as_attempts() {
    let mut tested = Tested::new(LIMITS);
    let first = tested.queue(&[A]);
    let (batch, _) = tested.batch();
    // These do not wait from the start.
    let (second, other) = (tested.queue(&[A]), tested.queue(&[B]));
    assert_eq!(tested.end(batch, &[Fate::Again], true), []);
    let taken = tested.take();
    assert_eq!(taken.len(), 2, "{taken:?}");
    let actions = tested.end(BatchId(2), &[Fate::Again; 2], true);
    assert_eq!(actions, [refuse(first)]);
    tested.end(BatchId(3), &[Fate::Final], false);
    assert_eq!(tested.batch().1, [second]);
    // A queued request has waited for the same locks.
    let third = tested.queue(&[A]);
    let (fourth, _) = (tested.queue(&[A]), other);
    assert_eq!(
        tested.end(BatchId(4), &[Fate::Again], true),
        [refuse(second)]
    );
    let (batch, tickets) = tested.batch();
    assert_eq!(tickets, [third, fourth]);
    let fifth = tested.queue(&[A]);
    let actions = tested.end(batch, &[Fate::Again, Fate::Final], true);
    assert_eq!(
        actions,
        [Action::Answer {
            ticket: fourth,
            index: 1
        }]
    );
    let (batch, tickets) = tested.batch();
    assert_eq!(tickets, [third, fifth]);
    let actions = tested.end(batch, &[Fate::Again, Fate::Final], true);
    assert_eq!(actions[0], refuse(third));
}

#[test]
fn the_oldest_request_is_passed_a_limited_number_of_times() {
    let mut tested = Tested::new(LIMITS);
    tested.queue(&[A]);
    let (of_a, _) = tested.batch();
    tested.machine.on(Event::Slow(of_a));
    tested.queue(&[B]);
    let (of_b, _) = tested.batch();
    tested.machine.on(Event::Slow(of_b));
    let oldest = tested.queue(&[A, B]);
    let (mut slow, mut passes) = ([of_a, of_b], 0);
    for at in [0, 1].into_iter().cycle() {
        tested.queue(&[[A, B][at]]);
        tested.end(slow[at], &[Fate::Final], false);
        match &*tested.take() {
            [Action::Start { batch, tickets, .. }] if tickets[0] > oldest => {
                slow[at] = *batch;
                passes += 1;
            }
            [] => {
                assert_eq!(passes, Limits::PASSES);
                tested.end(slow[1 - at], &[Fate::Final], false);
                assert_eq!(tested.batch().1[0], oldest);
                return;
            }
            other => panic!("{other:?}"),
        }
        tested.machine.on(Event::Slow(slow[at]));
    }
}

#[test]
fn an_uncontended_request_is_direct() {
    let mut tested = Tested::new(Limits {
        always: false,
        ..LIMITS
    });
    let (first, actions) = tested.admit(&[A]);
    assert_eq!(actions, [Action::Direct]);
    assert_eq!(tested.admit(&[B]).1, [Action::Direct]);
    let contended = tested.queue(&[A, C]);
    // A later request does not overtake a queued one.
    let behind = tested.queue(&[9]);
    let (batch, tickets) = tested.batch();
    assert_eq!(tickets, [contended, behind]);
    assert_eq!(tested.admit(&[C]).1[0], Action::Queued);
    tested.machine.on(Event::DirectEnded(first));
    tested.end(batch, &[Fate::Final; 2], false);
    let (batch, _) = tested.batch();
    tested.end(batch, &[Fate::Final], false);
    assert_eq!(tested.take(), [Action::Rest]);
    for key in 10..13 {
        assert_eq!(tested.admit(&[key]).1, [Action::Direct]);
    }
    tested.queue(&[14]);
}

#[test]
fn requests_that_gain_from_batches_are_not_direct_beside_one() {
    for beside in [true, false] {
        let mut tested = Tested::new(Limits {
            always: false,
            beside,
            ..LIMITS
        });
        assert_eq!(tested.admit(&[A]).1, [Action::Direct]);
        tested.queue(&[A]);
        let (batch, _) = tested.batch();
        let (_, actions) = tested.admit(&[B]);
        assert_eq!(actions[0] == Action::Direct, beside);
        if !beside {
            tested.end(batch, &[Fate::Final], false);
            let (batch, _) = tested.batch();
            tested.end(batch, &[Fate::Final], false);
            assert_eq!(tested.take(), [Action::Rest]);
            assert_eq!(tested.admit(&[B]).1, [Action::Direct]);
        }
    }
}

#[test]
fn bypassing_requests_are_limited_by_key_and_in_sum() {
    let mut tested = Tested::new(Limits { batch: 9, ..LIMITS });
    let keys = [A, A, A, B, B, C, A];
    let tickets = keys.map(|key| tested.queue(&[key]));
    let (batch, _) = tested.batch();
    let actions = tested.end(batch, &[UNDECIDED; 7], false);
    let granted = |places: &[usize]| -> Vec<Action> {
        let places = places.iter();
        places.map(|place| grant(tickets[*place], false)).collect()
    };
    assert_eq!(actions, granted(&[0, 1, 3, 4]));
    let actions = tested.machine.on(Event::Left(tickets[2]));
    assert_eq!(actions[0], Action::Forget(tickets[2]));
    assert_eq!(
        tested.machine.on(Event::DirectEnded(tickets[3]))[..1],
        granted(&[5])
    );
    assert_eq!(
        tested.machine.on(Event::DirectEnded(tickets[0]))[..1],
        granted(&[6])
    );
    assert_eq!(tested.machine.on(Event::DirectEnded(tickets[0])), []);
}

#[test]
fn with_one_connection_batches_and_direct_requests_alternate() {
    let mut tested = Tested::new(Limits {
        connections: 1,
        batch: 2,
        ..LIMITS
    });
    let tickets = [A; 4].map(|key| tested.queue(&[key]));
    let (batch, _) = tested.batch();
    tested.machine.on(Event::Slow(batch));
    assert_eq!(tested.take(), []);
    let actions = tested.end(batch, &[UNDECIDED; 2], false);
    assert_eq!(actions, [grant(tickets[0], false)]);
    assert_eq!(tested.take(), []);
    let actions = tested.machine.on(Event::DirectEnded(tickets[0]));
    assert_eq!(actions, [Action::Wake]);
    let (batch, taken) = tested.batch();
    assert_eq!(taken, tickets[2..]);
    let actions = tested.end(batch, &[Fate::Final; 2], false);
    assert_eq!(actions.last(), Some(&grant(tickets[1], false)));
}

#[test]
fn the_requests_of_a_lost_batch_are_in_doubt() {
    let mut tested = Tested::new(LIMITS);
    let sent = [A, A].map(|key| tested.queue(&[key]));
    let (batch, _) = tested.batch();
    let queued = tested.queue(&[A]);
    tested.machine.on(Event::Left(sent[1]));
    let actions = tested.machine.on(Event::Lost(batch));
    assert_eq!(
        actions,
        [Action::Doubt(sent[0]), grant(sent[0], true), Action::Wake]
    );
    assert_eq!(tested.end(batch, &[Fate::Final; 2], false), []);
    assert_eq!(tested.batch().1, [queued]);
}

#[test]
fn the_requests_of_a_lost_worker_go_direct() {
    let mut tested = Tested::new(LIMITS);
    let sent = tested.queue(&[A]);
    let (batch, _) = tested.batch();
    tested.machine.on(Event::Slow(batch));
    let parked = tested.queue(&[A]);
    tested.take();
    let waiting = tested.queue(&[B]);
    let worker = tested.machine.worker.unwrap();
    let actions = tested.machine.on(Event::WorkerLost(worker));
    let granted = [
        grant(sent, true),
        grant(parked, false),
        grant(waiting, false),
    ];
    assert_eq!(actions[0], Action::Doubt(sent));
    assert_eq!(actions[1..], granted);
    assert_eq!(tested.machine.on(Event::WorkerLost(worker)), []);
    let next = Generation(worker.0 + 1);
    assert_eq!(tested.admit(&[A]).1, [Action::Queued, Action::Spawn(next)]);
    assert_eq!(tested.machine.on(Event::Take(worker)), [Action::Rest]);
}

#[test]
fn a_worker_that_stands_still_is_replaced_by_a_caller() {
    let mut tested = Tested::new(LIMITS);
    let sent = tested.queue(&[A]);
    let (batch, _) = tested.batch();
    let queued = tested.queue(&[A]);
    let worker = tested.machine.worker.unwrap();
    let next = Generation(worker.0 + 1);
    assert_eq!(tested.machine.on(Event::Stalled(Ticket(99))), []);
    let actions = tested.machine.on(Event::Stalled(queued));
    assert_eq!(
        actions,
        [Action::Doubt(sent), Action::Spawn(next), grant(sent, true)]
    );
    assert_eq!(tested.machine.on(Event::Take(worker)), [Action::Rest]);
    assert_eq!(tested.end(batch, &[Fate::Final], false), []);
    assert_eq!(tested.batch().1, [queued]);
}

#[test]
fn a_closed_queue_refuses_requests_and_ends_when_the_others_are_answered() {
    let mut tested = Tested::new(Limits { queue: 2, ..LIMITS });
    let sent = [A, A].map(|key| tested.queue(&[key]));
    assert_eq!(tested.admit(&[A]).1, [Action::Full]);
    let (batch, _) = tested.batch();
    tested.queue(&[A]);
    assert_eq!(tested.machine.on(Event::Close), []);
    assert_eq!(tested.admit(&[B]).1, [Action::Closed]);
    assert_eq!(tested.machine.unanswered(), 3);
    tested.end(batch, &[Fate::Final, UNDECIDED], false);
    let (batch, _) = tested.batch();
    tested.end(batch, &[Fate::Final], false);
    assert_eq!(tested.take(), [Action::Rest]);
    let actions = tested.machine.on(Event::DirectEnded(sent[1]));
    assert_eq!(actions, [Action::Idle]);
}

#[test]
fn what_is_queued_at_the_end_of_a_shutdown_is_refused() {
    let mut tested = Tested::new(LIMITS);
    tested.queue(&[A]);
    let (batch, _) = tested.batch();
    tested.machine.on(Event::Slow(batch));
    let parked = tested.queue(&[A]);
    tested.take();
    let waiting = tested.queue(&[B]);
    tested.machine.on(Event::Close);
    let actions = tested.machine.on(Event::Abandon);
    assert_eq!(actions, [refuse(parked), refuse(waiting)]);
    assert_eq!(tested.machine.unanswered(), 1);
}

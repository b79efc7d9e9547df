//! Batches beside and behind others.

use super::*;

fn start(batch: u64, tickets: &[Ticket], follows: Option<BatchId>) -> Action {
    Action::Start {
        batch: BatchId(batch),
        tickets: tickets.to_vec(),
        follows,
    }
}

/// A batch that is planned while the one before it is written, with the same keys.
#[test]
fn a_batch_follows_another_one_if_it_has_as_many_requests() {
    for (connections, may) in [(8, true), (3, true), (2, false)] {
        let mut tested = Tested::new(Limits {
            follow: 2,
            connections,
            ..LIMITS
        });
        let first = [A; 3].map(|key| tested.queue(&[key]));
        let mut second = [A; 3].map(|key| tested.queue(&[key])).to_vec();
        let last = second.pop().unwrap();
        tested.machine.on(Event::Left(last));
        assert_eq!(tested.take(), [start(1, &first, None)], "two are too few");
        second.push(tested.queue(&[A]));
        let taken = tested.take();
        if may {
            assert_eq!(taken, [start(2, &second, Some(BatchId(1)))]);
            // No third one behind the two.
            for _ in 0..3 {
                tested.queue(&[A]);
            }
        } else {
            assert_eq!(taken, []);
        }
        assert_eq!(tested.take(), [], "{connections} connections");
    }
}

#[test]
fn no_batch_follows_a_slow_one() {
    let mut tested = Tested::new(Limits {
        follow: 1,
        batch: 1,
        ..LIMITS
    });
    tested.queue(&[A]);
    let (slow, _) = tested.batch();
    tested.machine.on(Event::Slow(slow));
    tested.queue(&[A]);
    assert_eq!(tested.take(), []);
}

#[test]
fn three_batches_run_at_a_time() {
    let mut tested = Tested::new(LIMITS);
    for key in 1..=Limits::BATCHES as u64 {
        tested.queue(&[key]);
        let (batch, _) = tested.batch();
        tested.machine.on(Event::Slow(batch));
    }
    tested.queue(&[99]);
    assert_eq!(tested.take(), []);
}

/// The last connection is for requests of other keys.
#[test]
fn a_batch_of_suspect_keys_leaves_one_connection() {
    let mut tested = Tested::new(Limits {
        connections: 2,
        ..LIMITS
    });
    let suspects = [A, B].map(|key| tested.queue(&[key]));
    let (batch, _) = tested.batch();
    tested.end(batch, &[Fate::Again; 2], true);
    assert_eq!(tested.take(), [start(2, &suspects[..1], None)]);
    let clean = tested.queue(&[C]);
    assert_eq!(tested.take(), [start(3, &[clean], None)]);
}

#[test]
fn a_batch_without_suspect_keys_takes_none() {
    let mut tested = Tested::new(LIMITS);
    let suspect = tested.queue(&[A]);
    let (batch, _) = tested.batch();
    let clean = tested.queue(&[C]);
    tested.machine.on(Event::Slow(batch));
    let (beside, _) = tested.batch();
    tested.end(batch, &[Fate::Bypass { in_doubt: false }], true);
    tested.machine.on(Event::DirectEnded(suspect));
    tested.end(beside, &[Fate::Again], false);
    let later = tested.queue(&[A]);
    assert_eq!(tested.take(), [start(3, &[clean], None)]);
    tested.machine.on(Event::Slow(BatchId(3)));
    assert_eq!(tested.take(), [start(4, &[later], None)]);
}

#[test]
fn a_caller_whose_request_was_sent_or_is_parked_replaces_the_worker() {
    for of_parked in [false, true] {
        let mut tested = Tested::new(LIMITS);
        let sent = tested.queue(&[A]);
        let (batch, _) = tested.batch();
        tested.machine.on(Event::Slow(batch));
        let parked = tested.queue(&[A]);
        assert_eq!(tested.take(), []);
        let caller = if of_parked { parked } else { sent };
        let actions = tested.machine.on(Event::Stalled(caller));
        assert_eq!(actions[0], Action::Doubt(sent));
        assert_eq!(tested.batch().1, [parked]);
    }
}

//! How many requests wait, are sent or bypass the batches.

use super::*;

#[test]
fn every_request_without_an_answer_is_counted() {
    let mut tested = Tested::new(LIMITS);
    for _ in 0..3 {
        tested.queue(&[A]);
    }
    assert_eq!(
        (tested.machine.depth(), tested.machine.unanswered()),
        (3, 3)
    );
    let (batch, _) = tested.batch();
    assert_eq!(
        (tested.machine.depth(), tested.machine.unanswered()),
        (0, 3)
    );
    // Of one key two are made at a time, and one waits for its slot.
    tested.end(batch, &[UNDECIDED; 3], false);
    assert_eq!(
        (tested.machine.depth(), tested.machine.unanswered()),
        (0, 3)
    );
    let sent = [A, A].map(|key| tested.queue(&[key]));
    assert_eq!(
        (tested.machine.depth(), tested.machine.unanswered()),
        (2, 5)
    );
    let (batch, _) = tested.batch();
    tested.machine.on(Event::Left(sent[0]));
    assert_eq!(
        (tested.machine.depth(), tested.machine.unanswered()),
        (0, 4)
    );
    // A parked request and a queued one.
    tested.machine.on(Event::Slow(batch));
    tested.queue(&[A]);
    assert_eq!(tested.take(), []);
    tested.queue(&[A]);
    assert_eq!(
        (tested.machine.depth(), tested.machine.unanswered()),
        (2, 6)
    );
}

#[test]
fn a_queue_is_full_with_requests_that_wait_for_a_batch_or_a_slot() {
    let mut tested = Tested::new(Limits { queue: 3, ..LIMITS });
    for _ in 0..3 {
        tested.queue(&[A]);
    }
    let (batch, _) = tested.batch();
    tested.end(batch, &[UNDECIDED; 3], false);
    tested.queue(&[A]);
    tested.queue(&[A]);
    assert_eq!(tested.admit(&[A]).1, [Action::Full]);
}

#[test]
fn a_queue_is_closed_once_it_was_told() {
    let mut tested = Tested::new(LIMITS);
    assert!(!tested.machine.is_closed());
    tested.machine.on(Event::Close);
    assert!(tested.machine.is_closed());
}

#[test]
fn a_batch_has_no_more_lines_than_its_limit() {
    let mut tested = Tested::new(LIMITS);
    let (large, small) = (tested.admit_of(&[A], 10).0, tested.queue(&[B]));
    let (batch, tickets) = tested.batch();
    assert_eq!(tickets, [large]);
    tested.end(batch, &[Fate::Final], false);
    assert_eq!(tested.batch().1, [small]);
}

/// Requests that were queued when a batch began have waited for its locks as long as those in it.
#[test]
fn a_blocked_batch_is_counted_for_those_that_wait_for_the_same_locks() {
    let mut tested = Tested::new(Limits { batch: 1, ..LIMITS });
    let (first, second) = (tested.queue(&[A]), tested.queue(&[A]));
    let other = tested.queue(&[C]);
    let (batch, tickets) = tested.batch();
    assert_eq!(tickets, [first]);
    let later = tested.queue(&[A]);
    assert_eq!(tested.end(batch, &[Fate::Again], true), []);
    // The batch of suspect keys is slow, so that the other one starts beside it.
    let taken = tested.take();
    assert_eq!(taken.len(), 2, "{taken:?}");
    let actions = tested.end(BatchId(2), &[Fate::Again], true);
    assert_eq!(actions, [refuse(second), refuse(first)]);
    tested.end(BatchId(3), &[Fate::Final], false);
    assert_eq!(tested.batch().1, [later]);
    assert_ne!(other, later);
}

/// More suspect keys than are remembered are an outage, after which nothing is known of single keys.
#[test]
fn suspect_keys_are_forgotten_if_there_are_too_many() {
    for (second, stays) in [(4_000, true), (4_001, false)] {
        let mut tested = Tested::new(LIMITS);
        for keys in [0..6_000, 6_000..6_000 + second] {
            tested.queue(&keys.collect::<Vec<u64>>());
            let (batch, _) = tested.batch();
            tested.end(batch, &[UNDECIDED], true);
        }
        let keys = |key| [key].into_iter().collect();
        assert_eq!(tested.machine.is_suspect(&keys(5)), stays);
        assert!(tested.machine.is_suspect(&keys(7_000)));
    }
}

//! How often the oldest request is passed by batches of others.

use super::*;

/// Its own start, after which it waits again, is none of these times.
#[test]
fn the_times_are_counted_from_when_it_waits() {
    let mut tested = Tested::new(Limits {
        follow: 1,
        batch: 1,
        ..LIMITS
    });
    let oldest = tested.queue(&[A, B]);
    tested.queue(&[A]);
    let taken = tested.take();
    assert_eq!(taken.len(), 2, "one batch follows the other: {taken:?}");
    tested.end(BatchId(1), &[Fate::Again], false);
    tested.machine.on(Event::Slow(BatchId(2)));
    for _ in 0..Limits::PASSES {
        tested.queue(&[C]);
        let (batch, tickets) = tested.batch();
        assert!(tickets[0] > oldest);
        tested.end(batch, &[Fate::Final], false);
    }
    tested.queue(&[C]);
    assert_eq!(tested.take(), []);
    tested.end(BatchId(2), &[Fate::Final], false);
    let first = tested.take().swap_remove(0);
    assert!(
        matches!(&first, Action::Start { tickets, .. } if *tickets == [oldest]),
        "{first:?}"
    );
}

/// A batch of suspect keys takes long, and each is counted for the requests that wait for it.
#[test]
fn a_request_that_waits_for_suspect_keys_stops_no_other() {
    let mut tested = Tested::new(LIMITS);
    tested.queue(&[A]);
    let (batch, _) = tested.batch();
    tested.end(batch, &[Fate::Again], true);
    let (suspect, _) = tested.batch();
    let oldest = tested.queue(&[A]);
    for _ in 0..2 * Limits::PASSES {
        tested.queue(&[C]);
        let (batch, tickets) = tested.batch();
        assert!(tickets[0] > oldest);
        tested.end(batch, &[Fate::Final], false);
    }
    tested.end(suspect, &[Fate::Final], false);
    assert_eq!(tested.batch().1, [oldest]);
}

/// A request that is tried again passes nobody, also beside a batch that takes long.
#[test]
fn a_request_does_not_pass_itself() {
    let mut tested = Tested::new(Limits {
        attempts: 99,
        ..LIMITS
    });
    tested.queue(&[B]);
    let (slow, _) = tested.batch();
    tested.machine.on(Event::Slow(slow));
    let oldest = tested.queue(&[A]);
    for _ in 0..2 * Limits::PASSES {
        let (batch, tickets) = tested.batch();
        assert_eq!(tickets, [oldest]);
        tested.end(batch, &[Fate::Again], false);
    }
}

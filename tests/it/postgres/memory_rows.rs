//! Rows in memory have the answers of rows in a table, and meet faults.

use std::time::Duration;

use optilock::{
    RetryPolicy, StopReason, Version, Versioned,
    postgres::{Bulk, Error, ErrorKind, WriteOutcome},
    testing::{Fault, MemoryRows},
};

#[derive(Clone, Debug, PartialEq)]
struct Seat {
    id: i64,
    version: Version,
    guest: String,
}

impl Versioned for Seat {
    type Id = i64;
    const ENTITY: &'static str = "seat";

    fn id(&self) -> &i64 {
        &self.id
    }

    fn version(&self) -> Version {
        self.version
    }
}

fn seat(version: i64, guest: &str) -> Seat {
    Seat {
        id: 7,
        version: Version::new(version).unwrap(),
        guest: guest.to_owned(),
    }
}

async fn seats() -> MemoryRows<Seat> {
    let seats = MemoryRows::new(|seat: &mut Seat, version| seat.version = version);
    let inserted = seats.insert(&seat(9, "ana")).await.unwrap();
    assert_eq!(inserted, seat(1, "ana"));
    seats
}

#[tokio::test]
async fn a_write_compares_the_version() {
    let seats = seats().await;
    assert_eq!(seats.update(&seat(1, "eva")).await.unwrap(), seat(2, "eva"));
    let stale = seats.update(&seat(1, "leo")).await.unwrap_err();
    assert_eq!(
        stale.to_string(),
        "seat 7 moved on: expected version 1, found 2"
    );
    assert_eq!(seats.get(&7).await.unwrap(), seat(2, "eva"));
    let outcome = seats.compare_and_set(&seat(1, "leo")).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Stale(seat(2, "eva")));
    let outcome = seats.compare_and_set(&seat(2, "leo")).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Written(seat(3, "leo")));
    assert!(
        seats
            .get_at(&7, Version::FIRST)
            .await
            .unwrap_err()
            .is_conflict()
    );
    assert_eq!(seats.touch(&7, seat(3, "").version).await.unwrap().get(), 4);
    assert!(
        seats
            .delete(&7, Version::FIRST)
            .await
            .unwrap_err()
            .is_conflict()
    );
    seats.delete(&7, seat(4, "").version).await.unwrap();
    assert_eq!(seats.find(&7).await.unwrap(), None);
    assert!(
        seats
            .update(&seat(4, "leo"))
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test]
async fn an_existing_id_and_the_last_version_are_refused() {
    let seats = seats().await;
    let exists = seats.insert(&seat(1, "leo")).await.unwrap_err();
    assert_eq!(exists.kind(), ErrorKind::AlreadyExists);
    assert_eq!(
        (exists.http_status(), exists.constraint()),
        (409, Some("id"))
    );
    let last = MemoryRows::new(|_: &mut Seat, _| {});
    let row = seat(i64::MAX, "ana");
    last.insert(&row).await.unwrap();
    let exhausted = last.update(&row).await.unwrap_err();
    assert_eq!(exhausted.kind(), ErrorKind::VersionExhausted);
}

#[tokio::test(start_paused = true)]
async fn modify_tries_again_after_a_conflict_and_not_after_an_unknown_outcome() {
    let seats = seats().await;
    seats
        .faults()
        .at_call("modify", 1, Fault::conflict())
        .at_call("modify", 2, Fault::busy(Duration::from_millis(5)))
        .at_call("modify", 4, Fault::unknown_but_done());
    let rename = async |guest: &str| {
        let policy = RetryPolicy::new();
        let change = |seat: &mut Seat| {
            guest.clone_into(&mut seat.guest);
            Ok::<_, Error>(seat.guest.len())
        };
        seats.modify(&policy, &7, change).await
    };
    assert_eq!(rename("eva").await.unwrap(), (seat(2, "eva"), 3));
    assert_eq!(seats.faults().calls("modify"), 3);
    let unknown = rename("leo").await.unwrap_err();
    assert_eq!(unknown.reason, StopReason::Unknown);
    assert_eq!(seats.get(&7).await.unwrap(), seat(3, "leo"));
    assert_eq!(seats.faults().calls("modify"), 4);
}

#[tokio::test]
async fn a_refused_change_writes_nothing() {
    let seats = seats().await;
    let policy = RetryPolicy::new();
    let refused = seats.modify(&policy, &7, |_| {
        Err::<(), _>(Error::from(optilock::Conflict::new(
            "guest",
            "ana",
            Version::FIRST,
            Version::FIRST,
        )))
    });
    // An error of the change itself is final, whatever its class.
    assert_eq!(refused.await.unwrap_err().attempts, 1);
    assert_eq!(seats.get(&7).await.unwrap(), seat(1, "ana"));
}

/// Of many writers of one row, each has its effect once.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_lose_no_update() {
    let seats = seats().await;
    let writers = (0..32).map(|_| {
        let seats = seats.clone();
        tokio::spawn(async move {
            let change = |seat: &mut Seat| {
                seat.guest.push('x');
                Ok::<_, Error>(())
            };
            seats.modify(&RetryPolicy::new(), &7, change).await.unwrap();
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let seat = seats.get(&7).await.unwrap();
    assert_eq!((seat.version.get(), seat.guest.len()), (33, 3 + 32));
}

#[tokio::test]
async fn calls_for_many_rows_have_an_outcome_for_each() {
    let seats = seats().await;
    let of = |id, version, guest| Seat {
        id,
        ..seat(version, guest)
    };
    let [seventh, eighth] = [of(7, 1, "eva"), of(8, 1, "leo")];
    let rows = [seventh.clone(), eighth.clone()];
    let outcomes = seats.insert_all(&rows).await.unwrap();
    let written = WriteOutcome::Written;
    assert_eq!(
        outcomes,
        [WriteOutcome::AlreadyExists, written(eighth.clone())]
    );
    let outcomes = seats.upsert_all(&rows).await.unwrap();
    assert_eq!(
        outcomes,
        [written(of(7, 2, "eva")), written(of(8, 2, "leo"))]
    );
    assert_eq!(seats.upsert(&eighth).await.unwrap(), of(8, 3, "leo"));
    assert_eq!(
        seats.upsert(&of(9, 5, "mia")).await.unwrap(),
        of(9, 1, "mia")
    );
    let rows = [of(7, 2, "ana"), of(8, 2, "ana"), of(6, 1, "ana")];
    let outcomes = seats.update_all(&rows, Bulk::AllOrNothing).await.unwrap();
    assert_eq!(
        outcomes,
        [
            WriteOutcome::Skipped(of(7, 2, "eva")),
            WriteOutcome::Stale(of(8, 3, "leo")),
            WriteOutcome::NotFound,
        ]
    );
    let outcomes = seats.update_all(&rows, Bulk::Each).await.unwrap();
    assert_eq!(outcomes[0], written(of(7, 3, "ana")));
    let deletions = [(7, seat(3, "").version), (8, seat(2, "").version)];
    let outcomes = seats.delete_all(&deletions, Bulk::AllOrNothing).await;
    assert_eq!(
        outcomes.unwrap(),
        [
            WriteOutcome::Skipped(of(7, 3, "ana")),
            WriteOutcome::Stale(of(8, 3, "leo"))
        ]
    );
    let outcomes = seats.delete_all(&deletions, Bulk::Each).await.unwrap();
    assert_eq!(outcomes[0], written(of(7, 3, "ana")));
    assert_eq!(seats.find(&7).await.unwrap(), None);
    let twice = [eighth.clone(), eighth];
    let repeated = seats.upsert_all(&twice).await.unwrap_err();
    assert_eq!(repeated.kind(), ErrorKind::RepeatedId);
    let fault = Fault::unknown_but_done();
    seats.faults().at_call("insert_all", 2, fault);
    let lost = seats.insert_all(&[seventh]).await.unwrap_err();
    assert!(lost.is_unknown() && seats.find(&7).await.unwrap().is_some());
}

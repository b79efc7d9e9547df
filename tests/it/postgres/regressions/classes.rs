//! Errors whose class was lost or wrong.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use optilock::{
    Class, Classify, RetryError, StopReason,
    inventory::BoxError,
    postgres::{self, Bulk, ErrorKind, PgRepository, TransactOptions, transact, transact_with},
    sqlx,
};

use super::POLICY;
use crate::support::{
    bank::{Account, Bank, PLACES},
    connect::pool_of,
    notes::{note, with_notes},
};

/// An error can be shared (as by moka's `try_get_with`) or boxed for its size (clippy's `result_large_err`).
#[test]
fn an_unknown_error_in_an_arc_or_a_box_stays_unknown() {
    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped<E: std::error::Error + 'static>(#[source] E);
    let lost = || sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into());
    let all: [(&str, BoxError); 6] = [
        ("plain", Box::new(Wrapped(lost()))),
        ("Arc", Box::new(Arc::new(lost()))),
        ("source: Arc", Box::new(Wrapped(Arc::new(lost())))),
        ("source: Box", Box::new(Wrapped(Box::new(lost())))),
        (
            "source: Arc<postgres::Error>",
            Box::new(Wrapped(Arc::new(postgres::Error::from(lost())))),
        ),
        ("io::Error::other", Box::new(std::io::Error::other(lost()))),
    ];
    let reclassified: Vec<&str> = all
        .iter()
        .filter(|(_, error)| error.class() != Class::Unknown)
        .map(|(name, _)| *name)
        .collect();
    assert!(
        reclassified.is_empty(),
        "these are not Unknown: {reclassified:?}"
    );
}

/// The host declared the transaction read-only, so the write is a bug, not a failover.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_in_a_read_only_transaction_is_a_permanent_error() {
    let db = with_notes().await;
    let attempts = AtomicU32::new(0);
    let options = TransactOptions::new().with_read_only(true);
    let ended: Result<(), RetryError<sqlx::Error>> =
        transact_with(&db.pool, &POLICY, &options, async |tx| {
            attempts.fetch_add(1, SeqCst);
            note(tx, "never").await
        })
        .await;
    let ended = ended.unwrap_err();
    assert_eq!(
        (attempts.load(SeqCst), ended.reason),
        (1, StopReason::Permanent),
        "{ended}"
    );
}

/// An error of a host asks another error for its class, for example to log it. The class of the other error
/// does not start another attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_error_that_asks_another_for_its_class_ends_the_attempts() {
    #[derive(Debug)]
    struct Refused(Option<postgres::Error>);
    impl From<sqlx::Error> for Refused {
        fn from(error: sqlx::Error) -> Self {
            Self(Some(error.into()))
        }
    }
    impl Classify for Refused {
        fn class(&self) -> Class {
            if let Some(before) = &self.0 {
                println!("after {}", before.class());
            }
            Class::Permanent
        }
    }
    let bank = Bank::open(PLACES[0]).await;
    bank.account(1, 100).await;
    let pool = pool_of(&bank.db, 1).await;
    let accounts = PgRepository::<Account>::new(bank.pool.clone());
    for _ in 0..3 {
        transact(&pool, &POLICY, async |tx| accounts.get_in(tx, &1).await)
            .await
            .unwrap();
    }
    bank.run("ALTER TABLE bank.accounts ALTER COLUMN owner TYPE varchar(99)")
        .await;
    let attempts = AtomicU32::new(0);
    let ended: Result<(), RetryError<Refused>> = transact(&pool, &POLICY, async |tx| {
        attempts.fetch_add(1, SeqCst);
        let read = accounts.get_in(tx, &1).await;
        Err(Refused(read.err()))
    })
    .await;
    assert_eq!(
        (ended.unwrap_err().reason, attempts.load(SeqCst)),
        (StopReason::Permanent, 1)
    );
}

/// A trigger of the host quotes a value that contains the mark of one of the crate's assertions.
#[tokio::test(flavor = "multi_thread")]
async fn an_assertions_mark_in_a_hosts_error_text_is_no_failed_assertion() {
    let bank = Bank::open(PLACES[0]).await;
    let (one, two) = (bank.account(1, 100).await, bank.account(2, 100).await);
    bank.run(
        "CREATE FUNCTION bank.no() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE 'owner % is refused', NEW.owner USING ERRCODE = '23514'; END $$;
         CREATE TRIGGER no BEFORE UPDATE ON bank.accounts FOR EACH ROW EXECUTE FUNCTION bank.no()",
    )
    .await;
    let named = |account: &Account, owner: &str| Account {
        owner: owner.to_owned(),
        ..account.clone()
    };
    let update = bank
        .accounts
        .update(&named(&one, "optilock.suppressed 1"))
        .await;
    let batch = bank
        .accounts
        .update_all(&[named(&one, "optilock.repeated 2"), two], Bulk::Each)
        .await;
    let correct = update
        .as_ref()
        .is_err_and(|error| error.kind() == ErrorKind::Database)
        && batch
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::Database);
    assert!(correct, "{update:?} {batch:?}");
}

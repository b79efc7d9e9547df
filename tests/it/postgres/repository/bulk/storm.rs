//! Many overlapping batches at once.

use std::time::{Duration, Instant};

use optilock::postgres::{Bulk, WriteOutcome};
use rand::seq::index;
use tokio::task::JoinSet;

use crate::support::{
    bank::{Account, Bank, PATIENT, PLACES},
    db::{assert_idle, deadlocks},
};

/// Returns how long the storm lasts: `OPTILOCK_STORM_SECONDS`, or two seconds.
fn storm_duration() -> Duration {
    let seconds = std::env::var("OPTILOCK_STORM_SECONDS");
    Duration::from_secs(seconds.map_or(2, |it| it.parse().expect("a number of seconds")))
}

/// Sixteen tasks move money within random, overlapping batches.
#[tokio::test(flavor = "multi_thread")]
async fn overlapping_batches_keep_the_sum_without_deadlocks() {
    for place in PLACES {
        let bank = Bank::open(place).await;
        bank.with_accounts(20).await;
        let end = Instant::now() + storm_duration();
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let bank = bank.clone();
            tasks.spawn(async move {
                let (mut rounds, mut written) = (0, 0);
                while Instant::now() < end {
                    written += move_money(&bank).await;
                    rounds += 1;
                }
                (rounds, written)
            });
        }
        let done = tasks.join_all().await;
        let (rounds, written) = done
            .iter()
            .fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        println!("{place:?}: {rounds} batches, {written} rows written");
        assert!(written > 0);
        assert_eq!(bank.sum().await, 2_000);
        let versions: i64 = bank.all().await.iter().map(|it| it.version.get() - 1).sum();
        assert!(
            versions >= written,
            "every written row advances its version"
        );
        assert_eq!(deadlocks(&bank.pool).await, 0);
        assert_idle(&bank.pool).await;
    }
}

/// Sixteen tasks insert, upsert, update and delete random, overlapping rows. The rows of a batch are in a random
/// order.
#[tokio::test(flavor = "multi_thread")]
async fn overlapping_batches_of_every_kind_do_not_deadlock() {
    for place in PLACES {
        let bank = Bank::open(place).await;
        let end = Instant::now() + storm_duration();
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let bank = bank.clone();
            tasks.spawn(async move {
                let mut written = [0; 4];
                while Instant::now() < end {
                    let kind = rand::random_range(0..4);
                    written[kind] += change_rows(&bank, kind).await;
                }
                written
            });
        }
        let done = tasks.join_all().await;
        let written: Vec<i64> = (0..4)
            .map(|kind| done.iter().map(|it| it[kind]).sum())
            .collect();
        println!("{place:?}: inserted, upserted, updated, deleted: {written:?}");
        assert!(written.iter().all(|it| *it > 0), "{written:?}");
        assert_eq!(deadlocks(&bank.pool).await, 0);
        assert_idle(&bank.pool).await;
    }
}

/// Runs a batch of this kind for up to eight random rows. Returns the number of written rows.
async fn change_rows(bank: &Bank, kind: usize) -> i64 {
    let count = rand::random_range(1..=8);
    let mut rows = Vec::new();
    let places = index::sample(&mut rand::rng(), 12, count);
    for place in places {
        let id = i64::try_from(place).unwrap() + 1;
        let stored = match kind {
            0 | 1 => None,
            _ => bank.accounts.find(&id).await.unwrap(),
        };
        rows.push(stored.unwrap_or_else(|| Account::new(id, 1)));
    }
    let accounts = &bank.accounts;
    let outcomes = match kind {
        0 => accounts.insert_all(&rows).await,
        1 => accounts.upsert_all(&rows).await,
        2 => accounts.update_all(&rows, Bulk::Each).await,
        _ => {
            let rows: Vec<_> = rows.iter().map(|row| (row.id, row.version)).collect();
            accounts.delete_all(&rows, Bulk::Each).await
        }
    };
    let outcomes = outcomes.unwrap();
    if kind == 1 {
        assert!(outcomes.iter().all(WriteOutcome::is_written));
    }
    let written = outcomes.iter().filter(|it| it.is_written()).count();
    i64::try_from(written).unwrap()
}

/// Moves a cent from each of up to seven random accounts to another account in one batch. Returns the number
/// of written rows.
async fn move_money(bank: &Bank) -> i64 {
    let count = rand::random_range(2..=8);
    let mut rows = Vec::new();
    let places = index::sample(&mut rand::rng(), 20, count);
    for place in places {
        let id = i64::try_from(place).unwrap() + 1;
        rows.push(bank.accounts.get(&id).await.unwrap().plus(-1));
    }
    rows[0].cents += i64::try_from(count).unwrap();
    let outcomes = if rand::random_bool(0.5) {
        bank.accounts.update_all(&rows, Bulk::AllOrNothing).await
    } else {
        let run = optilock::postgres::transact(&bank.pool, &PATIENT, async |tx| {
            bank.accounts
                .update_all_in(tx, &rows, Bulk::AllOrNothing)
                .await
        });
        run.await.map_err(|gave_up| gave_up.error)
    };
    let written = outcomes
        .unwrap()
        .iter()
        .filter(|it| it.is_written())
        .count();
    assert!(written == 0 || written == count);
    i64::try_from(written).unwrap()
}

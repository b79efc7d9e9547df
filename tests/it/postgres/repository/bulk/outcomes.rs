//! The outcome of each row of a batch.

use optilock::{
    Version,
    postgres::{Bulk, PgRepository, WriteOutcome},
};

use crate::{
    postgres::repository::assertions::run_blocked,
    support::{
        bank::{Account, Bank, PLACES, everywhere},
        proxy::{Cut, Proxy},
    },
};

#[tokio::test]
async fn one_stale_row_stops_an_all_or_nothing_batch() {
    everywhere(async |bank| {
        let read = bank.with_accounts(3).await;
        let current = bank.accounts.update(&read[1].plus(1)).await.unwrap();
        // In another order than that of their ids.
        let rows = [read[2].plus(7), read[1].plus(7), read[0].plus(7)];
        let before = bank.all().await;
        let outcomes = bank.accounts.update_all(&rows, Bulk::AllOrNothing).await;
        let skipped = |at: usize| WriteOutcome::Skipped(read[at].clone());
        let expected = [skipped(2), WriteOutcome::Stale(current.clone()), skipped(0)];
        assert_eq!(outcomes.unwrap(), expected);
        assert_eq!(bank.all().await, before);

        let outcomes = bank.accounts.update_all(&rows, Bulk::Each).await.unwrap();
        let after = bank.all().await;
        let written = |at: usize| WriteOutcome::Written(after[at].clone());
        assert_eq!(
            outcomes,
            [written(2), WriteOutcome::Stale(current), written(0)]
        );
        let cents: Vec<i64> = after.iter().map(|it| it.cents).collect();
        assert_eq!(cents, [107, 101, 107]);
        assert_eq!(after[0].version.get(), 2);
    })
    .await;
}

#[tokio::test]
async fn one_missing_row_stops_an_all_or_nothing_batch() {
    everywhere(async |bank| {
        let read = bank.with_accounts(3).await;
        bank.accounts.delete(&2, Version::FIRST).await.unwrap();
        let rows = read.iter().map(|it| it.plus(1)).collect::<Vec<_>>();
        let outcomes = bank.accounts.update_all(&rows, Bulk::AllOrNothing).await;
        let skipped = |at: usize| WriteOutcome::Skipped(read[at].clone());
        assert_eq!(
            outcomes.unwrap(),
            [skipped(0), WriteOutcome::NotFound, skipped(2)]
        );
        let outcomes = bank.accounts.update_all(&rows, Bulk::Each).await.unwrap();
        assert_eq!(outcomes[1], WriteOutcome::NotFound);
        assert!(outcomes[0].is_written() && outcomes[2].is_written());
        assert_eq!(bank.sum().await, 202);
    })
    .await;
}

#[tokio::test]
async fn the_outcomes_of_ten_thousand_rows_are_in_the_given_order() {
    let bank = Bank::open(PLACES[0]).await;
    let mut rows = bank.with_accounts(10_000).await;
    for row in &mut rows {
        row.cents += row.id;
    }
    rows.reverse();
    for mode in [Bulk::AllOrNothing, Bulk::Each] {
        let outcomes = bank.accounts.update_all(&rows, mode).await.unwrap();
        for (row, outcome) in rows.iter_mut().zip(outcomes) {
            let WriteOutcome::Written(written) = outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!((written.id, written.cents), (row.id, row.cents));
            *row = written;
        }
    }
    assert_eq!(rows[0].version.get(), 3);
}

#[tokio::test]
async fn a_batch_that_waited_is_judged_by_the_current_rows() {
    everywhere(async |bank| {
        let read = bank.with_accounts(2).await;
        let mut first = bank.pool.begin().await.unwrap();
        let current = bank
            .accounts
            .update_in(&mut first, &read[1].plus(5))
            .await
            .unwrap();
        let rows = [read[0].plus(1), read[1].plus(1)];
        let update = bank.accounts.update_all(&rows, Bulk::Each);
        let outcomes = run_blocked(&bank.pool, update, async {
            first.commit().await.unwrap();
        })
        .await
        .unwrap();
        assert!(outcomes[0].is_written());
        assert_eq!(outcomes[1], WriteOutcome::Stale(current));
    })
    .await;
}

/// The connection is cut after the batch was committed and before the query for the rows that could not be
/// locked. If a row was written, the outcome is unknown.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_cut_off_after_its_write_is_unknown() {
    for (deleted, unknown) in [(vec![2], true), (vec![1, 2, 3], false)] {
        let bank = Bank::open(PLACES[0]).await;
        let rows = bank.with_accounts(3).await;
        for id in &deleted {
            bank.accounts.delete(id, Version::FIRST).await.unwrap();
        }
        let proxy = Proxy::new(&bank.db).await;
        let accounts = PgRepository::<Account>::new(proxy.pool(1).await);
        // The Bind message of that query: one binary format, and one parameter, the array of the ids.
        let length = u8::try_from(20 + 12 * deleted.len()).unwrap();
        proxy.trap(&[0, 1, 0, 1, 0, 1, 0, 0, 0, length], Cut::Before);
        let lost = accounts.update_all(&rows, Bulk::Each).await.unwrap_err();
        assert_eq!(lost.is_unknown(), unknown, "{lost:?}");
        assert_eq!(lost.is_busy(), !unknown);
        assert!(!proxy.armed());
        let written = bank
            .all()
            .await
            .iter()
            .filter(|it| it.version.get() == 2)
            .count();
        assert_eq!(written, if unknown { 2 } else { 0 });
    }
}

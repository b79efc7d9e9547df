//! Deletions.

use optilock::postgres::WriteOutcome;

use crate::{
    postgres::repository::assertions::{assert_conflict, assert_not_found, run_blocked, version},
    support::bank::everywhere,
};

#[tokio::test]
async fn a_stale_delete_is_refused() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        bank.accounts.update(&read.plus(5)).await.unwrap();
        assert_conflict(bank.accounts.delete(&1, read.version).await, 1, 2);
        bank.accounts.delete(&1, version(2)).await.unwrap();
        assert_eq!(bank.accounts.find(&1).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_delete_or_a_touch_that_waited_for_another_write_is_refused() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let mut first = bank.pool.begin().await.unwrap();
        bank.accounts
            .update_in(&mut first, &read.plus(5))
            .await
            .unwrap();
        let delete = bank.accounts.delete(&1, read.version);
        let second = run_blocked(&bank.pool, delete, async {
            first.commit().await.unwrap();
        })
        .await;
        assert_conflict(second, 1, 2);
        let mut first = bank.pool.begin().await.unwrap();
        bank.accounts
            .touch_in(&mut first, &1, version(2))
            .await
            .unwrap();
        let touch = bank.accounts.touch(&1, version(2));
        let second = run_blocked(&bank.pool, touch, async {
            first.commit().await.unwrap();
        })
        .await;
        assert_conflict(second, 2, 3);
    })
    .await;
}

#[tokio::test]
async fn a_deleted_row_is_not_found_by_any_operation() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        bank.accounts.delete(&1, read.version).await.unwrap();
        assert_not_found(bank.accounts.delete(&1, read.version).await);
        assert_not_found(bank.accounts.update(&read.plus(5)).await);
        assert_not_found(bank.accounts.touch(&1, read.version).await);
        assert_not_found(bank.accounts.get(&1).await);
        assert_not_found(bank.accounts.get_at(&1, read.version).await);
        let outcome = bank.accounts.compare_and_set(&read).await.unwrap();
        assert_eq!(outcome, WriteOutcome::NotFound);
    })
    .await;
}

//! Reads, locks and assertions of one row.

use optilock::Version;

use super::assertions::{assert_conflict, version};
use crate::{postgres::repository::assertions::run_blocked, support::bank::everywhere};

/// The client sends the version that it read before another write.
#[tokio::test]
async fn an_old_version_from_a_client_is_refused() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let now = bank.accounts.update(&read.plus(5)).await.unwrap();
        let mut edited = bank.accounts.get(&1).await.unwrap();
        edited.version = Version::from_etag("\"1\"").unwrap();
        assert_conflict(bank.accounts.update(&edited).await, 1, 2);
        assert_conflict(bank.accounts.get_at(&1, edited.version).await, 1, 2);
        assert_eq!(
            bank.accounts.get_at(&1, now.version).await.unwrap(),
            now.clone()
        );
        // A version that the row never had is refused as well.
        edited.version = version(9);
        assert_conflict(bank.accounts.update(&edited).await, 9, 2);
    })
    .await;
}

#[tokio::test]
async fn a_locked_row_is_current_and_blocks_other_writers() {
    everywhere(async |bank| {
        bank.account(1, 100).await;
        let mut first = bank.pool.begin().await.unwrap();
        let locked = bank.accounts.lock_in(&mut first, &1).await.unwrap();
        let mine = locked.plus(7);
        let update = async {
            bank.accounts
                .update_in(&mut first, &locked.plus(5))
                .await
                .unwrap();
            first.commit().await.unwrap();
        };
        let second = run_blocked(&bank.pool, bank.accounts.update(&mine), update).await;
        assert_conflict(second, 1, 2);
        let mut conn = bank.pool.acquire().await.unwrap();
        let missing = bank.accounts.lock_in(&mut conn, &2).await;
        assert!(missing.unwrap_err().is_not_found());
    })
    .await;
}

/// Readers assert the version side by side, and a writer waits for them.
#[tokio::test]
async fn an_asserted_version_holds_until_the_end_of_the_transaction() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let mut first = bank.pool.begin().await.unwrap();
        let mut other = bank.pool.begin().await.unwrap();
        for reader in [&mut first, &mut other] {
            bank.accounts
                .assert_current_in(reader, &1, read.version)
                .await
                .unwrap();
            let stale = bank.accounts.assert_current_in(reader, &1, version(9));
            assert_conflict(stale.await, 9, 1);
        }
        other.commit().await.unwrap();
        let mine = read.plus(5);
        let update = bank.accounts.update(&mine);
        let written = run_blocked(&bank.pool, update, async {
            first.commit().await.unwrap();
        })
        .await;
        assert_eq!(written.unwrap().version, version(2));
    })
    .await;
}

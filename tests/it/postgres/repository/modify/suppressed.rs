//! Modifications that a trigger or an ambiguous id prevents.

use optilock::{StopReason, postgres::ErrorKind};

use super::{BankError, LOCKING, POLICY, withdraw};
use crate::support::{
    bank::{CHILD, KEEPERS, everywhere},
    db::assert_idle,
};

/// With and without a lock, the row is not reported as modified, and there is no second attempt.
#[tokio::test]
async fn a_trigger_that_keeps_the_version_suppresses_the_change() {
    for keeper in KEEPERS {
        everywhere(async |bank| {
            let read = bank.account(1, 100).await;
            bank.run(keeper).await;
            for policy in [POLICY, LOCKING] {
                let refused = bank.accounts.modify(&policy, &1, withdraw(30)).await;
                let refused = refused.unwrap_err();
                let BankError::Row(error) = &refused.error else {
                    panic!("{refused:?}");
                };
                assert_eq!(error.kind(), ErrorKind::Suppressed, "{refused:?}");
                assert_eq!((error.id(), refused.attempts), (Some("1"), 1));
                assert_eq!(refused.reason, StopReason::Permanent);
            }
            let mut conn = bank.pool.acquire().await.unwrap();
            let refused = bank.accounts.modify_in(&mut conn, &1, withdraw(30)).await;
            assert!(matches!(
                refused,
                Err(BankError::Row(error)) if error.kind() == ErrorKind::Suppressed
            ));
            assert_eq!(bank.accounts.get(&1).await.unwrap(), read);
            assert_idle(&bank.pool).await;
        })
        .await;
    }
}

#[tokio::test]
async fn an_ambiguous_id_is_not_modified() {
    everywhere(async |bank| {
        if bank.place.partitioned {
            return;
        }
        bank.run(CHILD).await;
        bank.account(1, 100).await;
        bank.run("INSERT INTO bank.child VALUES (1, 'a child', 100, 1)")
            .await;
        for policy in [POLICY, LOCKING] {
            let refused = bank.accounts.modify(&policy, &1, withdraw(30)).await;
            let refused = refused.unwrap_err();
            let BankError::Row(error) = &refused.error else {
                panic!("{refused:?}");
            };
            assert_eq!(error.kind(), ErrorKind::SchemaMismatch, "{refused:?}");
        }
        assert_eq!(bank.sum().await, 200);
    })
    .await;
}

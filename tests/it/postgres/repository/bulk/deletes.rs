//! Deletions of many rows.

use optilock::{
    Version,
    postgres::{Bulk, ErrorKind, WriteOutcome},
    sqlx,
};

use crate::{
    postgres::repository::assertions::{run_blocked, version},
    support::bank::{Account, CHILD, everywhere},
};

fn deletions(rows: &[Account]) -> Vec<(i64, Version)> {
    rows.iter().map(|row| (row.id, row.version)).collect()
}

#[tokio::test]
async fn each_deletion_has_an_outcome() {
    everywhere(async |bank| {
        let read = bank.with_accounts(4).await;
        let current = bank.accounts.update(&read[1].plus(1)).await.unwrap();
        let mut rows = deletions(&read[..3]);
        rows.push((9, Version::FIRST));
        rows.reverse();
        let outcomes = bank.accounts.delete_all(&rows, Bulk::AllOrNothing).await;
        assert_eq!(
            outcomes.unwrap(),
            [
                WriteOutcome::NotFound,
                WriteOutcome::Skipped(read[2].clone()),
                WriteOutcome::Stale(current.clone()),
                WriteOutcome::Skipped(read[0].clone()),
            ]
        );
        assert_eq!(bank.all().await.len(), 4);
        let outcomes = bank.accounts.delete_all(&rows, Bulk::Each).await.unwrap();
        assert_eq!(
            outcomes,
            [
                WriteOutcome::NotFound,
                WriteOutcome::Written(read[2].clone()),
                WriteOutcome::Stale(current.clone()),
                WriteOutcome::Written(read[0].clone()),
            ]
        );
        assert_eq!(bank.all().await, [current, read[3].clone()]);
        assert_eq!(bank.accounts.delete_all(&[], Bulk::Each).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn repeated_and_too_many_ids_are_refused() {
    everywhere(async |bank| {
        let read = bank.with_accounts(2).await;
        let twice = [(2, Version::FIRST), (1, Version::FIRST), (2, version(7))];
        let refused = bank.accounts.delete_all(&twice, Bulk::Each).await;
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.id()),
            (ErrorKind::RepeatedId, Some("2"))
        );
        let many: Vec<_> = (0..10_001).map(|id| (id, Version::FIRST)).collect();
        let refused = bank.accounts.delete_all(&many, Bulk::Each).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::TooManyRows);
        assert_eq!(bank.all().await, read);
        let most = bank.accounts.delete_all(&many[..10_000], Bulk::Each).await;
        let deleted = most.unwrap().iter().filter(|it| it.is_written()).count();
        assert_eq!((deleted, bank.all().await.len()), (2, 0));
    })
    .await;
}

#[tokio::test]
async fn a_deletion_that_waited_is_judged_by_the_current_row() {
    everywhere(async |bank| {
        let read = bank.with_accounts(2).await;
        let mut first = bank.pool.begin().await.unwrap();
        let current = bank.accounts.update_in(&mut first, &read[1].plus(5)).await;
        let current = current.unwrap();
        let rows = deletions(&read);
        let delete = bank.accounts.delete_all(&rows, Bulk::Each);
        let outcomes = run_blocked(&bank.pool, delete, async {
            first.commit().await.unwrap();
        });
        let outcomes = outcomes.await.unwrap();
        assert!(outcomes[0].is_written());
        assert_eq!(outcomes[1], WriteOutcome::Stale(current.clone()));
        assert_eq!(bank.all().await, [current]);
    })
    .await;
}

#[tokio::test]
async fn a_suppressed_deletion_is_reported() {
    everywhere(async |bank| {
        let read = bank.with_accounts(3).await;
        bank.run(
            "CREATE FUNCTION bank.keep() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN IF OLD.id = 2 THEN RETURN NULL; END IF; RETURN OLD; END';
             CREATE TRIGGER keep BEFORE DELETE ON bank.accounts
                 FOR EACH ROW EXECUTE FUNCTION bank.keep()",
        )
        .await;
        let rows = deletions(&read);
        let refused = bank.accounts.delete_all(&rows, Bulk::AllOrNothing).await;
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.id()),
            (ErrorKind::Suppressed, Some("2"))
        );
        assert_eq!(bank.all().await, read);
        let outcomes = bank.accounts.delete_all(&rows, Bulk::Each).await.unwrap();
        assert_eq!(outcomes[1], WriteOutcome::Suppressed);
        assert!(outcomes[0].is_written() && outcomes[2].is_written());
        assert_eq!(bank.all().await, read[1..2]);
    })
    .await;
}

#[tokio::test]
async fn an_ambiguous_id_deletes_nothing() {
    everywhere(async |bank| {
        if bank.place.partitioned {
            return;
        }
        bank.run(CHILD).await;
        let read = bank.with_accounts(3).await;
        bank.run("INSERT INTO bank.child VALUES (2, 'a child', 100, 1)")
            .await;
        for mode in [Bulk::AllOrNothing, Bulk::Each] {
            let refused = bank.accounts.delete_all(&deletions(&read), mode).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::SchemaMismatch);
            assert!(
                refused.to_string().contains("id 2 names several rows"),
                "{refused}"
            );
        }
        assert_eq!(bank.sum().await, 400);
    })
    .await;
}

/// A row that the host's transaction rolls back is not deleted.
#[tokio::test]
async fn a_deletion_in_a_transaction_ends_with_it() {
    everywhere(async |bank| {
        let read = bank.with_accounts(2).await;
        let mut tx = bank.pool.begin().await.unwrap();
        let rows = deletions(&read);
        let outcomes = bank
            .accounts
            .delete_all_in(&mut tx, &rows, Bulk::AllOrNothing);
        assert!(outcomes.await.unwrap().iter().all(WriteOutcome::is_written));
        tx.rollback().await.unwrap();
        assert_eq!(bank.all().await, read);
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM bank.accounts")
            .fetch_one(&bank.pool)
            .await
            .unwrap();
        assert_eq!(left, 2);
    })
    .await;
}

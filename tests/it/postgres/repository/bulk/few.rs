//! Calls with few rows of a table that has tens of thousands.

use optilock::{
    postgres::{Bulk, WriteOutcome},
    sqlx::{self, PgConnection},
};

use crate::support::{
    bank::{Account, Bank, Place},
    db::Default,
};

/// Returns a bank with 30,000 accounts, about which the planner has statistics, and these accounts.
async fn with_many(default: Default) -> (Bank, Vec<Account>) {
    let place = Place {
        default,
        partitioned: false,
    };
    let bank = Bank::open(place).await;
    let accounts = bank.with_accounts(30_000).await;
    bank.run("ANALYZE bank.accounts").await;
    (bank, accounts)
}

/// Returns how many times the connection has read the table as a whole, since a time before its transaction began.
async fn whole_reads(conn: &mut PgConnection) -> i64 {
    let scans = "SELECT seq_scan FROM pg_stat_xact_user_tables
        WHERE schemaname = 'bank' AND relname = 'accounts'";
    sqlx::query_scalar(scans).fetch_one(conn).await.unwrap()
}

/// The plan is a custom one at first, for these rows, and later a generic one.
#[tokio::test]
async fn they_read_only_their_rows() {
    for plan in ["force_custom_plan", "force_generic_plan"] {
        let (bank, accounts) = with_many(Default::ReadCommitted).await;
        let mut tx = bank.pool.begin().await.unwrap();
        let set = "SELECT set_config('plan_cache_mode', $1, true)";
        sqlx::query(set).bind(plan).execute(&mut *tx).await.unwrap();
        let before = whole_reads(&mut tx).await;
        let rows = &accounts[100..104];
        let repository = &bank.accounts;
        let updated = repository.update_all_in(&mut tx, rows, Bulk::Each).await;
        assert!(updated.unwrap().iter().all(WriteOutcome::is_written));
        // A row that is not found is looked up again.
        let missing = [Account::new(-1, 1), Account::new(-2, 1)];
        let missing = repository.update_all_in(&mut tx, &missing, Bulk::Each);
        assert_eq!(
            missing.await.unwrap(),
            [const { WriteOutcome::NotFound }; 2]
        );
        assert_eq!(whole_reads(&mut tx).await, before, "update_all, {plan}");
        let written = repository.upsert_all_in(&mut tx, rows).await.unwrap();
        assert!(written.iter().all(WriteOutcome::is_written));
        assert_eq!(whole_reads(&mut tx).await, before, "upsert_all, {plan}");
        let taken = repository.insert_all_in(&mut tx, rows).await.unwrap();
        assert!(!taken.iter().any(WriteOutcome::is_written));
        assert_eq!(whole_reads(&mut tx).await, before, "insert_all, {plan}");
        let versions: Vec<_> = written
            .into_iter()
            .filter_map(|outcome| match outcome {
                WriteOutcome::Written(row) => Some((row.id, row.version)),
                _ => None,
            })
            .collect();
        let deleted = repository.delete_all_in(&mut tx, &versions, Bulk::Each);
        assert!(deleted.await.unwrap().iter().all(WriteOutcome::is_written));
        assert_eq!(whole_reads(&mut tx).await, before, "delete_all, {plan}");
        tx.rollback().await.unwrap();
    }
}

/// A table that is read as a whole would be one that both transactions depend on.
#[tokio::test]
async fn calls_with_other_rows_do_not_conflict_at_serializable() {
    let (bank, accounts) = with_many(Default::Serializable).await;
    let mut one = bank.pool.begin().await.unwrap();
    let mut other = bank.pool.begin().await.unwrap();
    for (tx, first) in [(&mut one, 100), (&mut other, 20_000)] {
        let rows = &accounts[first..first + 2];
        let updated = bank.accounts.update_all_in(tx, rows, Bulk::Each).await;
        assert!(updated.unwrap().iter().all(WriteOutcome::is_written));
        let rows = &accounts[first + 10..first + 12];
        let written = bank.accounts.upsert_all_in(tx, rows).await.unwrap();
        assert!(written.iter().all(WriteOutcome::is_written));
    }
    one.commit().await.unwrap();
    other.commit().await.unwrap();
}

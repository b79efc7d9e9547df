//! Statements of versioned rows.

use optilock::{
    RetryPolicy, Version,
    postgres::{
        self, Bulk, KeyTable, PgRepository, create_key_table, forget_keys, transact_once_answer,
    },
    sqlx::PgPool,
};

use super::failures::Failures;
use crate::support::bank::Account;

/// Runs each operation of a repository.
pub async fn run(pool: &PgPool, failures: &mut Failures) {
    let accounts = PgRepository::<Account>::new(pool.clone());
    failures.note_row("verify", accounts.verify().await);
    for id in 1..=6 {
        failures.note_row("insert", accounts.insert(&Account::new(id, 10)).await);
    }
    let changed = |id| Account::new(id, 20);
    let second = Version::new(2).unwrap();
    failures.note_row("find", accounts.find(&1).await);
    failures.note_row("get", accounts.get(&1).await);
    failures.note_row("get at", accounts.get_at(&1, Version::FIRST).await);
    failures.note_row("update", accounts.update(&changed(1)).await);
    failures.note_row(
        "compare and set",
        accounts.compare_and_set(&changed(2)).await,
    );
    failures.note_row("stale", accounts.compare_and_set(&changed(2)).await);
    failures.note_row("touch", accounts.touch(&1, second).await);
    failures.note_row("delete", accounts.delete(&3, Version::FIRST).await);
    for mode in [Bulk::AllOrNothing, Bulk::Each] {
        let all = [changed(4), changed(5), changed(1)];
        failures.note_row("update all", accounts.update_all(&all, mode).await);
    }
    let policy = RetryPolicy::new();
    let modified = accounts.modify(&policy, &6, |account: &mut Account| {
        account.cents += 1;
        Ok::<_, postgres::Error>(())
    });
    failures.note_row("modify", modified.await.map_err(|failed| failed.error));
    let table = KeyTable::default();
    failures.note_row("create keys", create_key_table(pool, &table).await);
    for _ in 0..2 {
        let once = transact_once_answer(pool, &policy, "k", b"", async |tx| {
            Ok::<_, postgres::Error>(accounts.get_in(tx, &6).await?.cents)
        });
        failures.note_row("once", once.await.map_err(|failed| failed.error));
    }
    let day = std::time::Duration::from_secs(86_400);
    failures.note_row("forget keys", forget_keys(pool, &table, day, 10).await);
    let mut transaction = pool.begin().await.unwrap();
    failures.note_row("lock", accounts.lock_in(&mut transaction, &6).await);
    let current = accounts.assert_current_in(&mut transaction, &5, Version::FIRST);
    drop(current.await);
    transaction.rollback().await.unwrap();
}

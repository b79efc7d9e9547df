//! A change of the schema under open connections.

use optilock::{
    postgres::{Bulk, PgRepository, transact},
    sqlx::{self, AssertSqlSafe, PgPool},
};

use super::POLICY;
use crate::support::{
    bank::{Account, Bank, PLACES},
    connect::pool_of,
    db::eventually,
};

/// Prepares the statements of the operations on every connection of the pool.
async fn prepare(pool: &PgPool, accounts: &PgRepository<Account>, count: usize) {
    let mut held = Vec::new();
    for _ in 0..count {
        let mut conn = pool.acquire().await.unwrap();
        let account = accounts.get_in(&mut conn, &1).await.unwrap();
        let account = accounts.update_in(&mut conn, &account).await.unwrap();
        accounts
            .update_all_in(&mut conn, &[account], Bulk::Each)
            .await
            .unwrap();
        accounts.lock_in(&mut conn, &1).await.unwrap();
        held.push(conn);
    }
}

/// After a change of a column's type the server refuses prepared statements with 0A000.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_schema_causes_no_error() {
    const COUNT: usize = 6;
    for place in PLACES {
        let bank = Bank::open(place).await;
        bank.accounts.insert(&Account::new(1, 100)).await.unwrap();
        let mut type_of = ["varchar(99)", "text"].into_iter().cycle();
        // Returns a pool whose connections prepared their statements before the change.
        let mut alter = async || {
            let pool = pool_of(&bank.db, COUNT as u32).await;
            let accounts = PgRepository::<Account>::new(pool.clone());
            prepare(&pool, &accounts, COUNT).await;
            let kind = type_of.next().unwrap();
            let alter = format!("ALTER TABLE bank.accounts ALTER COLUMN owner TYPE {kind}");
            sqlx::raw_sql(AssertSqlSafe(alter))
                .execute(&bank.pool)
                .await
                .unwrap();
            (pool, accounts)
        };
        let (_, accounts) = alter().await;
        for _ in 0..=COUNT {
            accounts.get(&1).await.unwrap();
        }
        let (_, accounts) = alter().await;
        for _ in 0..=COUNT {
            let account = accounts.get(&1).await.unwrap();
            accounts.update(&account).await.unwrap();
        }
        let (_, accounts) = alter().await;
        for _ in 0..=COUNT {
            let account = accounts.find(&1).await.unwrap().unwrap();
            let done = accounts
                .update_all(&[account], Bulk::AllOrNothing)
                .await
                .unwrap();
            assert!(done[0].is_written(), "{done:?}");
        }
        let (_, accounts) = alter().await;
        for _ in 0..=COUNT {
            let plus = |account: &mut Account| {
                account.cents += 1;
                Ok::<_, optilock::postgres::Error>(())
            };
            accounts.modify(&POLICY, &1, plus).await.unwrap();
        }
        let (pool, accounts) = alter().await;
        for _ in 0..=COUNT {
            let policy = POLICY.with_max_attempts(1);
            transact(&pool, &policy, async |tx| {
                let account = accounts.lock_in(tx, &1).await?;
                accounts.update_in(tx, &account).await
            })
            .await
            .unwrap();
        }
        assert_eq!(
            accounts.get(&1).await.unwrap().cents,
            100 + COUNT as i64 + 1
        );
        eventually("the pool keeps its connections", async || {
            pool.num_idle() == COUNT
        })
        .await;
    }
}

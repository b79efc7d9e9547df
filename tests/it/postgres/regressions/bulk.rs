//! Bulk writes whose follow-up query for missed rows fails: "not done" means that nothing is stored.

use optilock::{
    Class, Classify, Version,
    postgres::{Bulk, PgRepository, WriteOutcome},
    sqlx::{self, PgPool},
    versioned_row,
};

use crate::support::{
    bank::{Account, Bank, PLACES, until_waiting},
    connect::pool_of,
    db::{Db, eventually, pool_options},
    notes::raw,
};

async fn until_alter_table_waits(pool: &PgPool) {
    eventually("ALTER TABLE waits", async || {
        sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER%'
             AND datname = current_database()",
        )
        .fetch_one(pool)
        .await
        .unwrap()
            == 1
    })
    .await;
}

/// An `ALTER TABLE` that waited for the write makes the follow-up query's plan stale.
#[tokio::test(flavor = "multi_thread")]
async fn a_written_batch_is_not_sent_again_for_a_stale_plan() {
    let bank = Bank::open(PLACES[0]).await;
    let pool = pool_of(&bank.db, 1).await;
    let accounts = PgRepository::<Account>::new(pool.clone());
    let one = bank.account(1, 100).await;
    let missing = Account::new(2, 0);
    // Both statements are prepared on the one connection.
    for _ in 0..3 {
        let outcomes = accounts
            .update_all(std::slice::from_ref(&missing), Bulk::Each)
            .await
            .unwrap();
        assert_eq!(outcomes, [WriteOutcome::NotFound]);
    }
    let mut holder = bank.pool.begin().await.unwrap();
    let lock = "SELECT FROM bank.accounts WHERE id = 1 FOR UPDATE";
    raw(&mut holder, lock).await.unwrap();
    let batch = tokio::spawn({
        let (accounts, rows) = (accounts.clone(), vec![one.plus(5), missing]);
        async move { accounts.update_all(&rows, Bulk::Each).await }
    });
    until_waiting(&bank.pool).await;
    let altering = bank.pool.clone();
    let altering = tokio::spawn(async move {
        sqlx::raw_sql("ALTER TABLE bank.accounts ALTER COLUMN owner TYPE varchar(200)")
            .execute(&altering)
            .await
            .unwrap();
    });
    until_alter_table_waits(&bank.pool).await;
    holder.rollback().await.unwrap();
    let outcomes = batch.await.unwrap();
    altering.await.unwrap();
    let stored = bank.accounts.get(&1).await.unwrap();
    assert_eq!((stored.cents, stored.version.get()), (105, 2));
    match &outcomes {
        Ok(outcomes) => assert!(
            outcomes[0].is_written(),
            "{outcomes:?}, and {stored:?} is stored"
        ),
        Err(error) => assert_eq!(
            error.class(),
            Class::Unknown,
            "{error:?}, and {stored:?} is stored"
        ),
    }
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Slow {
    id: i64,
    cents: i64,
    version: Version,
}

versioned_row! { Slow in "public.slow" {
    entity: "slow", id: id: i64, version: version, columns: [cents], only: "public.seen(id)",
} }

/// The follow-up query runs into the session's `statement_timeout`.
#[tokio::test(flavor = "multi_thread")]
async fn a_written_batch_with_a_cancelled_follow_up_query_is_unknown() {
    let db = Db::empty().await;
    sqlx::raw_sql(
        "CREATE TABLE public.slow (id bigint PRIMARY KEY, cents bigint NOT NULL, version bigint NOT NULL);
         INSERT INTO public.slow VALUES (1, 0, 1), (2, 0, 1);
         CREATE FUNCTION public.seen(id bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN
             IF current_query() LIKE '%MATERIALIZED%' THEN RETURN id = 1; END IF;
             PERFORM pg_sleep(20); RETURN true; END $$",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let pool = pool_options(2)
        .connect_with(
            db.database
                .options()
                .options([("statement_timeout", "400ms")]),
        )
        .await
        .unwrap();
    let rows = PgRepository::<Slow>::new(pool);
    let row = |id| Slow {
        id,
        cents: 7,
        version: Version::FIRST,
    };
    let answer = rows.update_all(&[row(1), row(2)], Bulk::Each).await;
    let stored: i64 = sqlx::query_scalar("SELECT cents FROM public.slow WHERE id = 1")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(stored, 7);
    let error = answer.unwrap_err();
    assert_eq!(
        error.class(),
        Class::Unknown,
        "{error:?}, and a row is stored"
    );
}

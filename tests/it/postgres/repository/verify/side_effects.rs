//! What a verification leaves behind: prepared statements and nothing else.

use std::{pin::pin, slice::from_ref};

use optilock::{
    Version,
    postgres::{Bulk, PgRepository},
    sqlx::{self, PgConnection},
    versioned_row,
};

use super::{run, single_connection};
use crate::support::{
    bank::{Bank, PLACES, everywhere},
    db::assert_idle,
    polling::PollAtMost,
};

/// The statements that `verify` prepares are those of the later writes, with the types of Rust instead of
/// the types that the server would guess.
#[tokio::test]
async fn a_verified_table_can_be_written() {
    #[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
    struct Post {
        id: i64,
        tags: Vec<String>,
        version: Version,
    }
    versioned_row! { Post in "public.posts" {
        entity: "post", id: id: i64, version: version, columns: [tags as array],
    } }
    let db = single_connection().await;
    let table = "CREATE TABLE public.posts (id bigint PRIMARY KEY, tags varchar[] NOT NULL, version bigint NOT NULL)";
    sqlx::raw_sql(table).execute(&db.pool).await.unwrap();
    let posts = PgRepository::<Post>::new(db.pool.clone());
    posts.verify().await.unwrap();
    let (id, tags, version) = (1, vec!["clay".to_owned()], Version::FIRST);
    let post = posts.insert(&Post { id, tags, version }).await.unwrap();
    let post = posts.update(&post).await.unwrap();
    let outcomes = posts.update_all(from_ref(&post), Bulk::Each).await;
    assert!(outcomes.unwrap()[0].is_written());
}

async fn text(conn: &mut PgConnection, query: &'static str) -> String {
    sqlx::query_scalar(query).fetch_one(conn).await.unwrap()
}

/// Inside and outside of a transaction, which continues afterwards.
#[tokio::test]
async fn a_verification_leaves_no_setting_and_no_lock() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let settings = "SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings
            WHERE name IN ('enable_seqscan', 'enable_indexscan', 'enable_bitmapscan')";
        let mut transaction = bank.pool.begin().await.unwrap();
        let before = text(&mut transaction, settings).await;
        bank.accounts
            .update_in(&mut transaction, &read.plus(5))
            .await
            .unwrap();
        bank.accounts.verify_in(&mut transaction).await.unwrap();
        let after = text(&mut transaction, settings).await;
        assert_eq!(before, after);
        transaction.commit().await.unwrap();
        let current = bank.accounts.get(&1).await.unwrap();
        assert_eq!((current.cents, current.version.get()), (105, 2));

        bank.accounts.verify().await.unwrap();
        let mut locked = bank.pool.begin().await.unwrap();
        bank.accounts.lock_in(&mut locked, &1).await.unwrap();
        // While another session holds a lock, and in a session that rejects writes.
        let mut conn = bank.pool.acquire().await.unwrap();
        run(&mut conn, "SET default_transaction_read_only = on").await;
        bank.accounts.verify_in(&mut conn).await.unwrap();
        run(&mut conn, "RESET default_transaction_read_only").await;
        locked.rollback().await.unwrap();
        drop(conn);
        assert_idle(&bank.pool).await;
    })
    .await;
}

/// A verification is dropped after each of its polls, in a transaction of the caller. The transaction
/// continues as the same transaction with the same settings.
#[tokio::test]
async fn a_dropped_verification_leaves_the_transaction_unchanged() {
    let bank = Bank::open(PLACES[0]).await;
    bank.account(1, 0).await;
    let settings = "SELECT current_setting('enable_seqscan') || pg_current_xact_id()::text";
    for polls in 1_u32.. {
        assert!(polls < 200, "the verification does not end");
        let mut transaction = bank.pool.begin().await.unwrap();
        let read = bank.accounts.get_in(&mut transaction, &1).await.unwrap();
        let before = text(&mut transaction, settings).await;
        let ended = {
            let verify = pin!(bank.accounts.verify_in(&mut transaction));
            PollAtMost(verify, polls).await.is_some()
        };
        let after = text(&mut transaction, settings).await;
        assert_eq!(before, after, "after {polls} polls");
        let update = read.plus(1);
        let written = bank.accounts.update_in(&mut transaction, &update);
        let written = written.await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(bank.accounts.get(&1).await.unwrap(), written);
        if ended {
            break;
        }
    }
    assert_idle(&bank.pool).await;
}

//! Futures of sqlx that an operation drops midway.

use std::{future::poll_fn, task::Poll};

use optilock::{
    Class, Classify, RetryError,
    postgres::{Tx, transact},
    sqlx::{self, Executor},
};

use super::ONCE;
use crate::support::{
    db::assert_idle,
    notes::{note, notes, with_notes},
    polling::poll_once,
};

const KINDS: [&str; 6] = [
    "open copy in",
    "starting copy in",
    "copy out",
    "fetch",
    "prepare",
    "execute",
];

/// Starts something of this kind and drops it before its end.
async fn interrupt(tx: &mut Tx<'_>, kind: &str) -> Result<(), sqlx::Error> {
    match kind {
        "open copy in" => {
            let mut copy = tx
                .copy_in_raw("COPY public.notes (text) FROM STDIN")
                .await?;
            copy.send(&b"copied\n"[..]).await?;
            drop(copy);
        }
        "starting copy in" => {
            poll_once(tx.copy_in_raw("COPY public.notes (text) FROM STDIN")).await;
        }
        "copy out" => drop(
            tx.copy_out_raw("COPY (SELECT generate_series(1, 100000)) TO STDOUT")
                .await?,
        ),
        "fetch" => {
            let mut rows = (&mut **tx).fetch("SELECT generate_series(1, 100000)");
            poll_fn(|context| Poll::Ready(rows.as_mut().poll_next(context).is_ready())).await;
        }
        "prepare" => {
            let sql = "SELECT text FROM public.notes WHERE id = $1";
            poll_once((&mut **tx).prepare(sqlx::SqlSafeStr::into_sql_str(sql))).await;
        }
        _ => {
            poll_once(note(tx, "dropped")).await;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_drops_a_future_midway_commits_as_a_whole_or_not_at_all() {
    let mut wrong = Vec::new();
    for kind in KINDS {
        let db = with_notes().await;
        let ended: Result<(), RetryError<sqlx::Error>> = transact(&db.pool, &ONCE, async |tx| {
            note(tx, "before").await?;
            interrupt(tx, kind).await?;
            note(tx, "after").await
        })
        .await;
        let stored = notes(&db.pool).await;
        let whole = stored.first().is_some_and(|it| it == "before")
            && stored.last().is_some_and(|it| it == "after");
        let correct = match &ended {
            Ok(()) => whole,
            Err(error) if error.class() == Class::Unknown => whole || stored.is_empty(),
            Err(_) => stored.is_empty(),
        };
        println!(
            "{kind}: {:?} {stored:?}",
            ended.as_ref().map_err(ToString::to_string)
        );
        assert_idle(&db.pool).await;
        // The pool's connections still work.
        transact(&db.pool, &ONCE, async |tx| note(tx, "again").await)
            .await
            .unwrap();
        if !correct {
            wrong.push(format!(
                "{kind}: {:?} {stored:?}",
                ended.map_err(|it| it.to_string())
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

//! The table of operations.

use std::pin::Pin;

use optilock::{
    Version,
    postgres::{Bulk, Isolation, TransactOptions, WriteOutcome, transact, transact_with},
    sqlx,
};

use super::{Answer, Bench, POLICY};
use crate::support::bank::Account;

/// What an operation stores when it is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    Nothing,
    Inserted,
    Written,
    Deleted,
}

impl Effect {
    /// The row's version before and after.
    pub const fn versions(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::Nothing => (Some(1), Some(1)),
            Self::Inserted => (None, Some(1)),
            Self::Written => (Some(1), Some(2)),
            Self::Deleted => (Some(1), None),
        }
    }
}

pub type Run = for<'a> fn(&'a Bench, i64) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

pub struct Operation {
    pub name: &'static str,
    pub effect: Effect,
    pub run: Run,
}

fn written(verdict: WriteOutcome<Account>) -> Result<(), optilock::postgres::Error> {
    match verdict {
        WriteOutcome::Written(_) => Ok(()),
        other => panic!("on a row of its own: {other:?}"),
    }
}

macro_rules! operations {
    ($($name:ident: $effect:ident, |$bench:ident, $id:ident, $row:ident| $answer:expr;)*) => {
        &[$(Operation {
            name: stringify!($name),
            effect: Effect::$effect,
            run: |$bench, $id| Box::pin(async move {
                let $row = Account::new($id, 700);
                let _ = &$row;
                $answer
            }),
        },)*]
    };
}

/// An operation in a transaction of the caller's.
macro_rules! in_transaction {
    ($bench:ident, |$tx:ident| $work:expr) => {
        Answer::of_retry(transact(&$bench.pool, &POLICY, async |$tx| $work).await)
    };
}

pub const OPERATIONS: &[Operation] = operations! {
    find: Nothing, |bench, id, row| Answer::of(bench.accounts.find(&id).await.map(Option::unwrap));
    find_in: Nothing, |bench, id, row| in_transaction!(bench, |tx| bench.accounts.find_in(tx, &id).await);
    get: Nothing, |bench, id, row| Answer::of(bench.accounts.get(&id).await);
    get_in: Nothing, |bench, id, row| in_transaction!(bench, |tx| bench.accounts.get_in(tx, &id).await);
    get_at: Nothing, |bench, id, row| Answer::of(bench.accounts.get_at(&id, Version::FIRST).await);
    get_at_in: Nothing, |bench, id, row| in_transaction!(bench, |tx| {
        bench.accounts.get_at_in(tx, &id, Version::FIRST).await
    });
    lock_in: Nothing, |bench, id, row| in_transaction!(bench, |tx| bench.accounts.lock_in(tx, &id).await);
    assert_current_in: Nothing, |bench, id, row| in_transaction!(bench, |tx| {
        bench.accounts.assert_current_in(tx, &id, Version::FIRST).await
    });
    verify: Nothing, |bench, id, row| Answer::of(bench.accounts.verify().await);
    verify_in: Nothing, |bench, id, row| in_transaction!(bench, |tx| bench.accounts.verify_in(tx).await);
    insert: Inserted, |bench, id, row| Answer::of(bench.accounts.insert(&row).await);
    insert_in: Inserted, |bench, id, row| in_transaction!(bench, |tx| bench.accounts.insert_in(tx, &row).await);
    update: Written, |bench, id, row| Answer::of(bench.accounts.update(&row).await);
    update_in: Written, |bench, id, row| in_transaction!(bench, |tx| bench.accounts.update_in(tx, &row).await);
    compare_and_set: Written, |bench, id, row| {
        Answer::of(bench.accounts.compare_and_set(&row).await.and_then(written))
    };
    compare_and_set_in: Written, |bench, id, row| in_transaction!(bench, |tx| {
        bench.accounts.compare_and_set_in(tx, &row).await.and_then(written)
    });
    delete: Deleted, |bench, id, row| Answer::of(bench.accounts.delete(&id, Version::FIRST).await);
    delete_in: Deleted, |bench, id, row| in_transaction!(bench, |tx| {
        bench.accounts.delete_in(tx, &id, Version::FIRST).await
    });
    touch: Written, |bench, id, row| Answer::of(bench.accounts.touch(&id, Version::FIRST).await);
    touch_in: Written, |bench, id, row| in_transaction!(bench, |tx| {
        bench.accounts.touch_in(tx, &id, Version::FIRST).await
    });
    modify: Written, |bench, id, row| {
        Answer::of_retry(bench.accounts.modify(&POLICY, &id, plus_one).await)
    };
    modify_in: Written, |bench, id, row| in_transaction!(bench, |tx| {
        bench.accounts.modify_in(tx, &id, plus_one).await
    });
    update_all: Written, |bench, id, row| {
        Answer::of(bench.accounts.update_all(&[row], Bulk::AllOrNothing).await)
    };
    update_all_in: Written, |bench, id, row| in_transaction!(bench, |tx| {
        bench.accounts.update_all_in(tx, std::slice::from_ref(&row), Bulk::Each).await
    });
    transact: Written, |bench, id, row| in_transaction!(bench, |tx| {
        let write = "UPDATE bank.accounts SET version = version + 1 WHERE id = $1";
        Ok(sqlx::query(write).bind(id).execute(&mut **tx).await?)
    });
    transact_with: Written, |bench, id, row| {
        let options = TransactOptions::new().with_isolation(Isolation::Serializable);
        let done = transact_with(&bench.pool, &POLICY, &options, async |tx| {
            let read = bench.accounts.get_in(tx, &id).await?;
            bench.accounts.update_in(tx, &read).await
        });
        Answer::of_retry(done.await)
    };
    savepoint: Written, |bench, id, row| in_transaction!(bench, |tx| {
        let undone: Result<(), optilock::postgres::Error> = tx
            .savepoint(async |tx| {
                bench.accounts.delete_in(tx, &id, Version::FIRST).await?;
                Err(sqlx::Error::RowNotFound.into())
            })
            .await;
        match undone {
            Err(error) if error.to_string() != "the database failed" => return Err(error),
            _ => {}
        }
        tx.savepoint(async |tx| bench.accounts.update_in(tx, &row).await).await
    });
};

fn plus_one(account: &mut Account) -> Result<(), optilock::postgres::Error> {
    account.cents += 1;
    Ok(())
}

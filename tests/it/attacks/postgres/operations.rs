//! The table of operations on rows and transactions.

use std::pin::Pin;

use optilock::{
    Version,
    postgres::{Bulk, Error, Isolation, TransactOptions, WriteOutcome, transact, transact_with},
    sqlx,
};

use super::{
    POLICY,
    harness::{Answer, Harness},
};
use crate::support::bank::Account;

/// What an operation stores if it is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    Nothing,
    Inserted,
    Written,
    Deleted,
}

impl Effect {
    /// Returns the row's version before and after.
    pub const fn versions(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::Nothing => (Some(1), Some(1)),
            Self::Inserted => (None, Some(1)),
            Self::Written => (Some(1), Some(2)),
            Self::Deleted => (Some(1), None),
        }
    }
}

pub type Run = for<'a> fn(&'a Harness, i64) -> Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

pub struct Operation {
    pub name: &'static str,
    pub effect: Effect,
    pub run: Run,
}

fn written(outcome: WriteOutcome<Account>) -> Result<(), Error> {
    match outcome {
        WriteOutcome::Written(_) => Ok(()),
        other => panic!("no other session writes this row: {other:?}"),
    }
}

macro_rules! operations {
    ($($name:ident: $effect:ident, |$harness:ident, $id:ident, $row:ident| $answer:expr;)*) => {
        &[$(Operation {
            name: stringify!($name),
            effect: Effect::$effect,
            run: |$harness, $id| Box::pin(async move {
                let $row = Account::new($id, 700);
                let _ = &$row;
                $answer
            }),
        },)*]
    };
}

/// Runs an operation in a caller's transaction.
macro_rules! in_transaction {
    ($harness:ident, |$tx:ident| $work:expr) => {
        Answer::of_retry(transact(&$harness.pool, &POLICY, async |$tx| $work).await)
    };
}

pub const OPERATIONS: &[Operation] = operations! {
    find: Nothing, |harness, id, row| Answer::of(harness.accounts.find(&id).await.map(Option::unwrap));
    find_in: Nothing, |harness, id, row| in_transaction!(harness, |tx| harness.accounts.find_in(tx, &id).await);
    get: Nothing, |harness, id, row| Answer::of(harness.accounts.get(&id).await);
    get_in: Nothing, |harness, id, row| in_transaction!(harness, |tx| harness.accounts.get_in(tx, &id).await);
    get_at: Nothing, |harness, id, row| Answer::of(harness.accounts.get_at(&id, Version::FIRST).await);
    get_at_in: Nothing, |harness, id, row| in_transaction!(harness, |tx| {
        harness.accounts.get_at_in(tx, &id, Version::FIRST).await
    });
    lock_in: Nothing, |harness, id, row| in_transaction!(harness, |tx| harness.accounts.lock_in(tx, &id).await);
    assert_current_in: Nothing, |harness, id, row| in_transaction!(harness, |tx| {
        harness.accounts.assert_current_in(tx, &id, Version::FIRST).await
    });
    verify: Nothing, |harness, id, row| Answer::of(harness.accounts.verify().await);
    verify_in: Nothing, |harness, id, row| in_transaction!(harness, |tx| harness.accounts.verify_in(tx).await);
    insert: Inserted, |harness, id, row| Answer::of(harness.accounts.insert(&row).await);
    insert_in: Inserted, |harness, id, row| in_transaction!(harness, |tx| harness.accounts.insert_in(tx, &row).await);
    update: Written, |harness, id, row| Answer::of(harness.accounts.update(&row).await);
    update_in: Written, |harness, id, row| in_transaction!(harness, |tx| harness.accounts.update_in(tx, &row).await);
    compare_and_set: Written, |harness, id, row| {
        Answer::of(harness.accounts.compare_and_set(&row).await.and_then(written))
    };
    compare_and_set_in: Written, |harness, id, row| in_transaction!(harness, |tx| {
        harness.accounts.compare_and_set_in(tx, &row).await.and_then(written)
    });
    delete: Deleted, |harness, id, row| Answer::of(harness.accounts.delete(&id, Version::FIRST).await);
    delete_in: Deleted, |harness, id, row| in_transaction!(harness, |tx| {
        harness.accounts.delete_in(tx, &id, Version::FIRST).await
    });
    touch: Written, |harness, id, row| Answer::of(harness.accounts.touch(&id, Version::FIRST).await);
    touch_in: Written, |harness, id, row| in_transaction!(harness, |tx| {
        harness.accounts.touch_in(tx, &id, Version::FIRST).await
    });
    modify: Written, |harness, id, row| {
        Answer::of_retry(harness.accounts.modify(&POLICY, &id, plus_one).await)
    };
    modify_in: Written, |harness, id, row| in_transaction!(harness, |tx| {
        harness.accounts.modify_in(tx, &id, plus_one).await
    });
    update_all: Written, |harness, id, row| {
        Answer::of(harness.accounts.update_all(&[row], Bulk::AllOrNothing).await)
    };
    update_all_in: Written, |harness, id, row| in_transaction!(harness, |tx| {
        harness.accounts.update_all_in(tx, std::slice::from_ref(&row), Bulk::Each).await
    });
    transact: Written, |harness, id, row| in_transaction!(harness, |tx| {
        let write = "UPDATE bank.accounts SET version = version + 1 WHERE id = $1";
        Ok(sqlx::query(write).bind(id).execute(&mut **tx).await?)
    });
    transact_with: Written, |harness, id, row| {
        let options = TransactOptions::new().with_isolation(Isolation::Serializable);
        let done = transact_with(&harness.pool, &POLICY, &options, async |tx| {
            let read = harness.accounts.get_in(tx, &id).await?;
            harness.accounts.update_in(tx, &read).await
        });
        Answer::of_retry(done.await)
    };
    savepoint: Written, |harness, id, row| in_transaction!(harness, |tx| {
        let refusal = || Error::from(sqlx::Error::RowNotFound);
        let rolled_back: Result<(), Error> = tx
            .savepoint(async |tx| {
                harness.accounts.delete_in(tx, &id, Version::FIRST).await?;
                Err(refusal())
            })
            .await;
        match rolled_back {
            Err(error) if error.to_string() != refusal().to_string() => return Err(error),
            _ => {}
        }
        tx.savepoint(async |tx| harness.accounts.update_in(tx, &row).await).await
    });
};

fn plus_one(account: &mut Account) -> Result<(), Error> {
    account.cents += 1;
    Ok(())
}

//! The table of operations on rows and transactions.

use std::pin::Pin;

use optilock::{
    Conflict, Version,
    postgres::{
        Bulk, Error, Isolation, OnceOptions, PgRepository, TransactOptions, Tx, WriteOutcome,
        transact, transact_once, transact_once_answer, transact_once_answer_with,
        transact_once_with, transact_with,
    },
    sqlx::{self, PgConnection},
};

use super::harness::{Answer, Harness};
use crate::support::bank::Account;

/// What an operation stores if it is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    Nothing,
    Inserted,
    Written,
    /// The version only.
    Touched,
    Deleted,
}

/// The version and the cents of a row that exists.
pub type Stored = Option<(i64, i64)>;

impl Effect {
    /// Returns what is stored before and after.
    pub const fn rows(self) -> (Stored, Stored) {
        const FIRST: Stored = Some((1, 100));
        match self {
            Self::Nothing => (FIRST, FIRST),
            Self::Inserted => (None, FIRST),
            Self::Written => (FIRST, Some((2, 700))),
            Self::Touched => (FIRST, Some((2, 100))),
            Self::Deleted => (FIRST, None),
        }
    }

    /// Returns the event of the statement for a trigger.
    pub const fn event(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Inserted => Some("INSERT"),
            Self::Written | Self::Touched => Some("UPDATE"),
            Self::Deleted => Some("DELETE"),
        }
    }
}

type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
pub type Run = for<'a> fn(&'a Harness, i64) -> Work<'a, Answer>;
pub type RunIn =
    for<'a> fn(&'a PgRepository<Account>, &'a mut PgConnection, i64) -> Work<'a, Result<(), Error>>;

/// What an operation does if it is sent again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OnRepeat {
    /// It reads, or it writes the next version.
    Done,
    /// It answers again, and changes nothing.
    DoneBefore,
    /// It is refused with this code and changes nothing.
    Refused(&'static str),
}

pub struct Operation {
    pub name: &'static str,
    pub effect: Effect,
    pub on_repeat: OnRepeat,
    pub run: Run,
    /// The same in a transaction of the host, for operations that have such a form only.
    pub run_in: Option<RunIn>,
}

impl Operation {
    /// Returns whether a closure of the host runs in it.
    pub fn calls_host(&self) -> bool {
        matches!(
            self.name,
            "transact" | "transact_with" | "savepoint" | "modify" | "modify_in"
        ) || self.is_once()
    }

    /// Returns whether it takes effect once for a key.
    pub fn is_once(&self) -> bool {
        self.on_repeat == OnRepeat::DoneBefore
    }
}

fn written(outcome: WriteOutcome<Account>) -> Result<(), Error> {
    match outcome {
        WriteOutcome::Written(_) => Ok(()),
        WriteOutcome::Stale(current) => {
            Err(Conflict::new("account", current.id, Version::FIRST, current.version).into())
        }
        // An outcome has no text, and its error is permanent.
        WriteOutcome::Suppressed => Err(sqlx::Error::ColumnNotFound("suppressed".into()).into()),
        _ => Err(sqlx::Error::RowNotFound.into()),
    }
}

fn all_written(outcomes: Vec<WriteOutcome<Account>>) -> Result<(), Error> {
    outcomes.into_iter().try_for_each(written)
}

/// Runs an operation in a transaction of its own.
async fn in_transaction(harness: &Harness, id: i64, run_in: RunIn) -> Answer {
    let done = transact(&harness.pool, &harness.policy, async |tx| {
        run_in(&harness.accounts, tx, id).await
    });
    Answer::of_retry(done.await)
}

macro_rules! operations {
    ($($name:ident: $effect:ident $(($($code:tt)+))? $form:ident |$($argument:ident),+| $answer:expr;)*) => {
        &[$(Operation {
            name: stringify!($name),
            effect: Effect::$effect,
            on_repeat: operations!(@on_repeat $($($code)+)?),
            run: operations!(@run $form |$($argument),+| $answer),
            run_in: operations!(@run_in $form |$($argument),+| $answer),
        },)*]
    };
    (@on_repeat) => { OnRepeat::Done };
    (@on_repeat once) => { OnRepeat::DoneBefore };
    (@on_repeat $code:literal) => { OnRepeat::Refused($code) };
    (@run direct |$harness:ident, $id:ident, $row:ident| $answer:expr) => {
        |$harness, $id| Box::pin(async move {
            let $row = Account::new($id, 700);
            let _ = &$row;
            $answer
        })
    };
    (@run inside |$accounts:ident, $tx:ident, $id:ident, $row:ident| $answer:expr) => {
        |harness, id| {
            let run_in: RunIn = operations!(@inside |$accounts, $tx, $id, $row| $answer);
            Box::pin(in_transaction(harness, id, run_in))
        }
    };
    (@run_in direct |$harness:ident, $id:ident, $row:ident| $answer:expr) => { None };
    (@run_in inside |$accounts:ident, $tx:ident, $id:ident, $row:ident| $answer:expr) => {
        Some(operations!(@inside |$accounts, $tx, $id, $row| $answer))
    };
    (@inside |$accounts:ident, $tx:ident, $id:ident, $row:ident| $answer:expr) => {
        |$accounts, $tx, $id| Box::pin(async move {
            let $row = Account::new($id, 700);
            let _ = &$row;
            $answer.map(drop)
        })
    };
}

pub const OPERATIONS: &[Operation] = operations! {
    find: Nothing direct |harness, id, row| Answer::of(harness.accounts.find(&id).await.map(Option::unwrap));
    find_in: Nothing inside |accounts, tx, id, row| accounts.find_in(tx, &id).await.map(Option::unwrap);
    get: Nothing direct |harness, id, row| Answer::of(harness.accounts.get(&id).await);
    get_in: Nothing inside |accounts, tx, id, row| accounts.get_in(tx, &id).await;
    get_at: Nothing direct |harness, id, row| Answer::of(harness.accounts.get_at(&id, Version::FIRST).await);
    get_at_in: Nothing inside |accounts, tx, id, row| accounts.get_at_in(tx, &id, Version::FIRST).await;
    lock_in: Nothing inside |accounts, tx, id, row| accounts.lock_in(tx, &id).await;
    assert_current_in: Nothing inside |accounts, tx, id, row| {
        accounts.assert_current_in(tx, &id, Version::FIRST).await
    };
    verify: Nothing direct |harness, id, row| Answer::of(harness.accounts.verify().await);
    verify_in: Nothing inside |accounts, tx, id, row| accounts.verify_in(tx).await;
    insert: Inserted ("already-exists") direct |harness, id, row| {
        Answer::of(harness.accounts.insert(&Account::new(id, 100)).await)
    };
    insert_in: Inserted ("already-exists") inside |accounts, tx, id, row| accounts.insert_in(tx, &Account::new(id, 100)).await;
    update: Written ("conflict") direct |harness, id, row| Answer::of(harness.accounts.update(&row).await);
    update_in: Written ("conflict") inside |accounts, tx, id, row| accounts.update_in(tx, &row).await;
    compare_and_set: Written ("conflict") direct |harness, id, row| {
        Answer::of(harness.accounts.compare_and_set(&row).await.and_then(written))
    };
    compare_and_set_in: Written ("conflict") inside |accounts, tx, id, row| {
        accounts.compare_and_set_in(tx, &row).await.and_then(written)
    };
    delete: Deleted ("not-found") direct |harness, id, row| {
        Answer::of(harness.accounts.delete(&id, Version::FIRST).await)
    };
    delete_in: Deleted ("not-found") inside |accounts, tx, id, row| {
        accounts.delete_in(tx, &id, Version::FIRST).await
    };
    touch: Touched ("conflict") direct |harness, id, row| {
        Answer::of(harness.accounts.touch(&id, Version::FIRST).await)
    };
    touch_in: Touched ("conflict") inside |accounts, tx, id, row| {
        accounts.touch_in(tx, &id, Version::FIRST).await
    };
    modify: Written direct |harness, id, row| {
        Answer::of_retry(harness.accounts.modify(&harness.policy, &id, set_cents).await)
    };
    modify_in: Written inside |accounts, tx, id, row| accounts.modify_in(tx, &id, set_cents).await;
    update_all: Written ("conflict") direct |harness, id, row| {
        let done = harness.accounts.update_all(&[row], Bulk::AllOrNothing).await;
        Answer::of(done.and_then(all_written))
    };
    update_all_in: Written ("conflict") inside |accounts, tx, id, row| {
        let done = accounts.update_all_in(tx, std::slice::from_ref(&row), Bulk::Each).await;
        done.and_then(all_written)
    };
    // An outcome has no error of its own: see `written`.
    delete_all: Deleted ("database") direct |harness, id, row| {
        let done = harness.accounts.delete_all(&[(id, Version::FIRST)], Bulk::AllOrNothing).await;
        Answer::of(done.and_then(all_written))
    };
    delete_all_in: Deleted ("database") inside |accounts, tx, id, row| {
        let done = accounts.delete_all_in(tx, &[(id, Version::FIRST)], Bulk::Each).await;
        done.and_then(all_written)
    };
    insert_all: Inserted ("database") direct |harness, id, row| {
        let done = harness.accounts.insert_all(&[Account::new(id, 100)]).await;
        Answer::of(done.and_then(all_written))
    };
    insert_all_in: Inserted ("database") inside |accounts, tx, id, row| {
        let done = accounts.insert_all_in(tx, &[Account::new(id, 100)]).await;
        done.and_then(all_written)
    };
    upsert: Written direct |harness, id, row| Answer::of(harness.accounts.upsert(&row).await);
    upsert_in: Written inside |accounts, tx, id, row| accounts.upsert_in(tx, &row).await;
    upsert_all: Written direct |harness, id, row| {
        let done = harness.accounts.upsert_all(&[row]).await;
        Answer::of(done.and_then(all_written))
    };
    upsert_all_in: Written inside |accounts, tx, id, row| {
        let done = accounts.upsert_all_in(tx, std::slice::from_ref(&row)).await;
        done.and_then(all_written)
    };
    transact: Written inside |_accounts, tx, id, row| {
        let write = "UPDATE bank.accounts SET version = version + 1, cents = 700 WHERE id = $1";
        let written = sqlx::query(write).bind(id).execute(tx).await;
        written.map_err(Error::from)
    };
    transact_with: Written direct |harness, id, row| {
        let options = TransactOptions::new().with_isolation(Isolation::Serializable);
        let done = transact_with(&harness.pool, &harness.policy, &options, async |tx| {
            let read = harness.accounts.get_in(tx, &id).await?;
            harness.accounts.update_in(tx, &Account { cents: 700, ..read }).await
        });
        Answer::of_retry(done.await)
    };
    savepoint: Written ("conflict") direct |harness, id, row| {
        let done = transact(&harness.pool, &harness.policy, async |tx| {
            let refusal = || Error::from(sqlx::Error::RowNotFound);
            let rolled_back: Result<(), Error> = tx
                .savepoint(async |tx| {
                    harness.accounts.touch_in(tx, &id, Version::FIRST).await?;
                    Err(refusal())
                })
                .await;
            match rolled_back {
                Err(error) if error.to_string() != refusal().to_string() => return Err(error),
                _ => {}
            }
            tx.savepoint(async |tx| harness.accounts.update_in(tx, &row).await).await
        });
        Answer::of_retry(done.await)
    };
    transact_once: Written (once) direct |harness, id, row| {
        let write = async |tx: &mut Tx<'_>| write(&harness.accounts, tx, id).await;
        Answer::of_retry(transact_once(&harness.pool, &harness.policy, &key(id), b"", write).await)
    };
    transact_once_with: Written (once) direct |harness, id, row| {
        let options = TransactOptions::new().with_isolation(Isolation::Serializable);
        let options = OnceOptions::new().with_transaction(options);
        let write = async |tx: &mut Tx<'_>| write(&harness.accounts, tx, id).await;
        Answer::of_retry(transact_once_with(&harness.pool, &harness.policy, &options, &key(id), b"", write).await)
    };
    transact_once_answer: Written (once) direct |harness, id, row| {
        let write = async |tx: &mut Tx<'_>| write(&harness.accounts, tx, id).await;
        Answer::of_retry(transact_once_answer(&harness.pool, &harness.policy, &key(id), b"", write).await)
    };
    transact_once_answer_with: Written (once) direct |harness, id, row| {
        let options = TransactOptions::new().with_isolation(Isolation::RepeatableRead);
        let options = OnceOptions::new().with_transaction(options);
        let write = async |tx: &mut Tx<'_>| write(&harness.accounts, tx, id).await;
        let key = key(id);
        let done = transact_once_answer_with(&harness.pool, &harness.policy, &options, &key, b"", write);
        Answer::of_retry(done.await)
    };
};

/// The key of a call that writes this row.
fn key(id: i64) -> String {
    format!("account/{id}")
}

/// Reads the row and writes it.
async fn write(accounts: &PgRepository<Account>, tx: &mut Tx<'_>, id: i64) -> Result<i64, Error> {
    let read = accounts.get_in(tx, &id).await?;
    let changed = Account { cents: 700, ..read };
    Ok(accounts.update_in(tx, &changed).await?.cents)
}

fn set_cents(account: &mut Account) -> Result<(), Error> {
    account.cents = 700;
    Ok(())
}

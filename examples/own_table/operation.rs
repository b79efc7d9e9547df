//! Three operations that move money without lost updates.

use optilock::{
    Attempt, Conflict, RetryPolicy, Versioned,
    postgres::{Bulk, Error, WriteOutcome, transact},
    with_retry,
};

use crate::{
    BoxError,
    account::{Account, Bank},
};

/// With 64 writers on few cores, an operation may need many attempts.
const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(1_000)
    .with_deadline(None);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    /// Locks and writes both accounts in one transaction.
    Transact,
    /// Reads both accounts, then writes both by one statement if neither has changed.
    UpdateAll,
    /// Moves money between the balance and the savings of one account.
    Modify,
}

/// The work of the writers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) transfers: u64,
    pub(crate) attempts: u64,
    pub(crate) attempts_max: u32,
    /// Written rows.
    pub(crate) written: i64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.transfers += other.transfers;
        self.attempts += other.attempts;
        self.attempts_max = self.attempts_max.max(other.attempts_max);
        self.written += other.written;
    }

    fn count(&mut self, attempts: u32, written: i64) {
        self.transfers += 1;
        self.attempts += u64::from(attempts);
        self.attempts_max = self.attempts_max.max(attempts);
        self.written += written;
    }
}

impl Operation {
    pub(crate) const ALL: [Self; 3] = [Self::Transact, Self::UpdateAll, Self::Modify];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Transact => "lock_in, update_in in transact",
            Self::UpdateAll => "get, update_all in with_retry",
            Self::Modify => "modify",
        }
    }

    /// Moves one cent from a random account to another, or none if the balance is zero.
    pub(crate) async fn transfer(self, bank: &Bank, tally: &mut Tally) -> Result<(), BoxError> {
        let (attempts, written) = match self {
            Self::Transact => in_transaction(bank).await?,
            Self::UpdateAll => by_one_statement(bank).await?,
            Self::Modify => within_account(bank).await?,
        };
        tally.count(attempts, written);
        Ok(())
    }
}

async fn in_transaction(bank: &Bank) -> Result<(u32, i64), BoxError> {
    let (from, to) = bank.random_pair();
    let moved = transact(&bank.pool, &POLICY, async |tx| {
        // Locks in the order of the ids: otherwise two opposite transfers deadlock.
        let first = bank.accounts.lock_in(tx, &from.min(to)).await?;
        let second = bank.accounts.lock_in(tx, &from.max(to)).await?;
        let (mut payer, mut payee) = if from < to {
            (first, second)
        } else {
            (second, first)
        };
        if payer.cents == 0 {
            return Ok((tx.attempt().number(), 0));
        }
        payer.cents -= 1;
        payee.cents += 1;
        bank.accounts.update_in(tx, &payer).await?;
        bank.accounts.update_in(tx, &payee).await?;
        Ok::<_, Error>((tx.attempt().number(), 2))
    });
    Ok(moved.await?)
}

async fn by_one_statement(bank: &Bank) -> Result<(u32, i64), BoxError> {
    let (from, to) = bank.random_pair();
    let moved = with_retry(&POLICY, async |attempt: Attempt| {
        let mut payer = bank.accounts.get(&from).await?;
        let mut payee = bank.accounts.get(&to).await?;
        if payer.cents == 0 {
            return Ok((attempt.number(), 0));
        }
        payer.cents -= 1;
        payee.cents += 1;
        let rows = [payer, payee];
        let outcomes = bank.accounts.update_all(&rows, Bulk::AllOrNothing).await?;
        let conflict = rows.iter().zip(&outcomes).find_map(|it| match it {
            (row, WriteOutcome::Stale(current)) => Some(Conflict::new(
                Account::ENTITY,
                row.id,
                row.version,
                current.version,
            )),
            _ => None,
        });
        if let Some(conflict) = conflict {
            return Err(conflict.into());
        }
        Ok::<_, Error>((attempt.number(), 2))
    });
    Ok(moved.await?)
}

async fn within_account(bank: &Bank) -> Result<(u32, i64), BoxError> {
    let (id, mut attempts) = (bank.random_account(), 0);
    let saved = bank.accounts.modify(&POLICY, &id, |account| {
        attempts += 1;
        if account.cents > account.saved {
            (account.cents, account.saved) = (account.cents - 1, account.saved + 1);
        } else {
            (account.cents, account.saved) = (account.cents + 1, account.saved - 1);
        }
        Ok::<_, Error>(())
    });
    saved.await?;
    Ok((attempts, 1))
}

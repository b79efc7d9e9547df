//! Three ways to move money without losing any.

use optilock::{
    Attempt, Conflict, RetryPolicy, Versioned,
    postgres::{Bulk, Error, WriteOutcome, transact},
    with_retry,
};

use crate::{
    Fault,
    account::{Account, Bank},
};

/// 64 writers on a machine with few cores: patience, and no end of attempts.
const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(1_000)
    .with_deadline(None);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Way {
    /// Both accounts locked and written, in one transaction.
    Transact,
    /// Both accounts read, then written by one statement if nobody did meanwhile.
    UpdateAll,
    /// Within one account, from what can be spent to what is put by.
    Modify,
}

/// What writers did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) transfers: u64,
    pub(crate) attempts: u64,
    pub(crate) attempts_most: u32,
    /// Rows.
    pub(crate) written: i64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.transfers += other.transfers;
        self.attempts += other.attempts;
        self.attempts_most = self.attempts_most.max(other.attempts_most);
        self.written += other.written;
    }

    fn count(&mut self, attempts: u32, written: i64) {
        self.transfers += 1;
        self.attempts += u64::from(attempts);
        self.attempts_most = self.attempts_most.max(attempts);
        self.written += written;
    }
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Transact, Self::UpdateAll, Self::Modify];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Transact => "lock_in, update_in in transact",
            Self::UpdateAll => "get, update_all in with_retry",
            Self::Modify => "modify",
        }
    }

    /// One cent from somewhere to somewhere else; none, if it is not there.
    pub(crate) async fn transfer(self, bank: &Bank, tally: &mut Tally) -> Result<(), Fault> {
        let (attempts, written) = match self {
            Self::Transact => in_a_transaction(bank).await?,
            Self::UpdateAll => by_one_statement(bank).await?,
            Self::Modify => within_an_account(bank).await?,
        };
        tally.count(attempts, written);
        Ok(())
    }
}

async fn in_a_transaction(bank: &Bank) -> Result<(u32, i64), Fault> {
    let (from, to) = bank.pair();
    let moved = transact(&bank.pool, &POLICY, async |tx| {
        // In the order of their ids, whoever pays: otherwise two transfers deadlock.
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

async fn by_one_statement(bank: &Bank) -> Result<(u32, i64), Fault> {
    let (from, to) = bank.pair();
    let moved = with_retry(&POLICY, async |attempt: Attempt| {
        let mut payer = bank.accounts.get(&from).await?;
        let mut payee = bank.accounts.get(&to).await?;
        if payer.cents == 0 {
            return Ok((attempt.number(), 0));
        }
        payer.cents -= 1;
        payee.cents += 1;
        let rows = [payer, payee];
        let verdicts = bank.accounts.update_all(&rows, Bulk::AllOrNothing).await?;
        let lost = rows.iter().zip(&verdicts).find_map(|it| match it {
            (row, WriteOutcome::Stale(current)) => Some(Conflict::new(
                Account::ENTITY,
                row.id,
                row.version,
                current.version,
            )),
            _ => None,
        });
        if let Some(conflict) = lost {
            return Err(conflict.into());
        }
        Ok::<_, Error>((attempt.number(), 2))
    });
    Ok(moved.await?)
}

async fn within_an_account(bank: &Bank) -> Result<(u32, i64), Fault> {
    let (id, mut attempts) = (bank.any(), 0);
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

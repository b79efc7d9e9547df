use optilock::{
    RetryError, RetryPolicy, Version,
    postgres::{Error, PgRepository, transact},
    sqlx::{self, PgPool},
    versioned_row,
};

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Wallet {
    pub id: i64,
    pub cents: i64,
    pub version: Version,
}

versioned_row! { Wallet in "bank.wallets" {
    entity: "wallet", id: id: i64, version: version, columns: [cents],
} }

#[derive(Debug, thiserror::Error)]
pub enum Refused {
    #[error("wallet {id} holds {cents} cents, {requested} requested")]
    TooLittle { id: i64, cents: i64, requested: i64 },
    #[error(transparent)]
    Row(#[from] Error),
}

impl Wallet {
    /// The rule, without a database.
    fn withdraw(&mut self, requested: i64) -> Result<(), Refused> {
        let (id, cents) = (self.id, self.cents);
        if cents < requested {
            return Err(Refused::TooLittle {
                id,
                cents,
                requested,
            });
        }
        self.cents -= requested;
        Ok(())
    }
}

/// Before: locks the row from the read to the commit. Returns whether the wallet held enough.
pub async fn withdraw_locked(pool: &PgPool, id: i64, cents: i64) -> Result<bool, sqlx::Error> {
    let mut tx = pool.begin().await?;
    let held: i64 = sqlx::query_scalar("SELECT cents FROM bank.wallets WHERE id = $1 FOR UPDATE")
        .bind(id)
        .fetch_one(&mut *tx)
        .await?;
    if held < cents {
        return Ok(false);
    }
    sqlx::query("UPDATE bank.wallets SET cents = cents - $2 WHERE id = $1")
        .bind(id)
        .bind(cents)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(true)
}

/// After: locks the row only if other writers were faster twice.
pub async fn withdraw(
    wallets: &PgRepository<Wallet>,
    id: i64,
    cents: i64,
) -> Result<Wallet, RetryError<Refused>> {
    let withdrawn = wallets
        .modify(&RetryPolicy::new(), &id, |wallet| wallet.withdraw(cents))
        .await;
    withdrawn.map(|(wallet, ())| wallet)
}

/// After, with several rows: `lock_in` is the `SELECT .. FOR UPDATE`, `transact` the transaction.
pub async fn transfer(
    pool: &PgPool,
    wallets: &PgRepository<Wallet>,
    from: i64,
    to: i64,
    cents: i64,
) -> Result<(), RetryError<Error>> {
    transact(pool, &RetryPolicy::new(), async |tx| {
        // In the order of the ids, as everywhere: otherwise two opposite transfers deadlock.
        let first = wallets.lock_in(tx, &from.min(to)).await?;
        let second = wallets.lock_in(tx, &from.max(to)).await?;
        let (mut payer, mut payee) = if from < to {
            (first, second)
        } else {
            (second, first)
        };
        payer.cents -= cents;
        payee.cents += cents;
        wallets.update_in(tx, &payer).await?;
        wallets.update_in(tx, &payee).await?;
        Ok(())
    })
    .await
}

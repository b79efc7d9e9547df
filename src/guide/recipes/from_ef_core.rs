use optilock::{
    RetryError, RetryPolicy, Version,
    postgres::{Error, PgRepository},
    sqlx, versioned_row,
};

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
#[sqlx(rename_all = "PascalCase")]
pub struct Account {
    pub id: i64,
    pub owner: String,
    pub cents: i64,
    pub version: Version,
}

versioned_row! { Account in "shop.Accounts" {
    entity: "account",
    id: id = "Id": i64 as generated,
    version: version = "Version",
    columns: [owner = "Owner", cents = "Cents"],
} }

/// `SaveChangesAsync`, and again after a `DbUpdateConcurrencyException`.
pub async fn deposit(
    accounts: &PgRepository<Account>,
    id: i64,
    cents: i64,
) -> Result<Account, RetryError<Error>> {
    let change = |account: &mut Account| {
        account.cents += cents;
        Ok::<_, Error>(())
    };
    let deposited = accounts.modify(&RetryPolicy::new(), &id, change).await;
    deposited.map(|(account, ())| account)
}

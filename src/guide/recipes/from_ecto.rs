use optilock::{
    RetryError, RetryPolicy, Version,
    postgres::{Error, PgRepository},
    sqlx, versioned_row,
};

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Account {
    pub id: i64,
    pub owner: String,
    pub cents: i64,
    #[sqlx(skip)]
    pub updated_at: (),
    #[sqlx(rename = "lock_version")]
    pub version: Version,
}

versioned_row! { Account in "shop.accounts" {
    entity: "account",
    id: id: i64 as generated,
    version: version = "lock_version" as int4,
    columns: [owner, cents],
    on_update: [updated_at: "now() AT TIME ZONE 'utc'"],
} }

impl Account {
    pub fn new(owner: &str) -> Self {
        Self {
            id: 0,
            owner: owner.to_owned(),
            cents: 0,
            updated_at: (),
            version: Version::FIRST,
        }
    }
}

/// `Repo.update` of a changeset with `optimistic_lock(:lock_version)`, again when it is stale.
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

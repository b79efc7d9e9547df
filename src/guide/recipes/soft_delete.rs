use optilock::{
    Version,
    postgres::{Error, PgRepository},
    sqlx::{self, PgPool},
    versioned_row,
};

/// A customer that is not deleted.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Customer {
    pub id: i64,
    pub email: String,
    pub name: String,
    pub version: Version,
}

versioned_row! { Customer in "crm.customers" {
    entity: "customer", id: id: i64 as generated, version: version, columns: [email, name],
    only: "deleted_at IS NULL",
} }

/// The same row for the write that deletes it: each write sets `deleted_at`, and nothing else.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Deletion {
    pub id: i64,
    #[sqlx(skip)]
    pub deleted_at: (),
    pub version: Version,
}

versioned_row! { Deletion in "crm.customers" {
    entity: "customer", id: id: i64 as generated, version: version, columns: [],
    on_update: [deleted_at: "statement_timestamp()"],
    only: "deleted_at IS NULL",
} }

/// A deleted row for the write that restores it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Restoration {
    pub id: i64,
    #[sqlx(skip)]
    pub deleted_at: (),
    pub version: Version,
}

versioned_row! { Restoration in "crm.customers" {
    entity: "deleted customer", id: id: i64 as generated, version: version, columns: [],
    on_update: [deleted_at: "NULL"],
    only: "deleted_at IS NOT NULL",
} }

#[derive(Clone, Debug)]
pub struct Customers {
    /// Reads and writes customers that are not deleted.
    pub rows: PgRepository<Customer>,
    deletions: PgRepository<Deletion>,
    restorations: PgRepository<Restoration>,
}

impl Customers {
    pub fn new(pool: &PgPool) -> Self {
        Self {
            rows: PgRepository::new(pool.clone()),
            deletions: PgRepository::new(pool.clone()),
            restorations: PgRepository::new(pool.clone()),
        }
    }

    /// Compares the table with all three row types, at startup.
    pub async fn verify(&self) -> Result<(), Error> {
        self.rows.verify().await?;
        self.deletions.verify().await?;
        self.restorations.verify().await
    }

    /// Marks a customer as deleted if it is still at `expected`, and returns the version of the deletion.
    pub async fn delete(&self, id: i64, expected: Version) -> Result<Version, Error> {
        self.deletions.touch(&id, expected).await
    }

    /// Returns a deleted customer's id and version.
    pub async fn get_deleted(&self, id: i64) -> Result<Restoration, Error> {
        self.restorations.get(&id).await
    }

    /// Restores a deleted customer if it is still at `expected`, and returns its new version.
    pub async fn restore(&self, id: i64, expected: Version) -> Result<Version, Error> {
        self.restorations.touch(&id, expected).await
    }
}

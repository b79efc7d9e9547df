use optilock::{
    Version,
    inventory::PgInventory,
    postgres::PgRepository,
    sqlx::{self, Executor, PgPool},
    versioned_row,
};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Customer {
    pub id: i64,
    pub name: String,
    pub version: Version,
}

versioned_row! { Customer in "crm.customers" {
    entity: "customer", id: id: i64, version: version, columns: [name],
} }

/// A step of the deployment, as `shop_owner`: the only role that changes tables.
pub async fn migrate(owner: &PgPool) -> Result<(), BoxError> {
    optilock::migrate(owner).await?;
    // In the place of the application's own migrations.
    let customers = "CREATE TABLE IF NOT EXISTS crm.customers (
        id bigint PRIMARY KEY, name text NOT NULL, version bigint NOT NULL DEFAULT 1)";
    owner.execute(customers).await?;
    Ok(())
}

/// The start of the application, as `shop_app`. Fails if a migration or a right is missing.
pub async fn start(pool: &PgPool) -> Result<PgInventory, BoxError> {
    // Reads the history of the migrations, and writes nothing if none is missing.
    optilock::migrate(pool).await?;
    PgRepository::<Customer>::new(pool.clone()).verify().await?;
    Ok(PgInventory::new(pool.clone()))
}

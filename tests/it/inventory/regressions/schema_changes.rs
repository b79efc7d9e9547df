//! Changes of the schema under open connections with prepared statements.

use optilock::{inventory::PgInventory, sqlx};

use super::operations::{OPERATIONS, Targets};
use crate::support::db::{Db, pool_options};

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_works_after_a_change_of_the_schema() {
    let db = Db::new().await;
    let pool = pool_options(1)
        .connect_with(db.database.options().options([("search_path", "")]))
        .await
        .unwrap();
    let shop = PgInventory::new(pool);
    let mut wrong = Vec::new();
    for (round, change) in [
        "",
        "ALTER TABLE optilock.products ADD COLUMN extra text; ALTER TABLE optilock.orders ADD COLUMN extra text",
        "ALTER TABLE optilock.products ALTER COLUMN name TYPE varchar(500)",
        "ALTER TABLE optilock.orders ALTER COLUMN customer TYPE varchar(500);
         ALTER TABLE optilock.order_lines ALTER COLUMN name TYPE varchar(500)",
        "CREATE INDEX ON optilock.products (name)",
    ]
    .into_iter()
    .enumerate()
    {
        if let Err(error) = sqlx::raw_sql(change).execute(&db.pool).await {
            println!("{change}: {error}");
        }
        for operation in OPERATIONS {
            let suffix = format!(" {round} {operation}");
            let targets = Targets::store(&PgInventory::new(db.pool.clone()), &suffix).await;
            if let Err(error) = targets.run(operation, &shop).await {
                wrong.push(format!("round {round} {operation}: {error:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

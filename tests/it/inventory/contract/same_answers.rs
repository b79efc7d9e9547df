//! Random operations: every inventory gives the same answers as the one in memory.

mod case;
mod orders;
mod products;
mod reservations;

use optilock::inventory::{
    BatchOptions, BatchedInventory, Inventory, MemoryInventory, PgInventory,
};
use proptest::{
    collection::vec, prop_assert_eq, prop_oneof, strategy::Strategy, test_runner::TestRunner,
};
use uuid::Uuid;

use case::Case;
use orders::OrderOperation;
use products::ProductOperation;
use reservations::ReservationOperation;

use crate::{
    support::db::{Db, assert_balanced},
    support::strategies::STRATEGIES,
};

/// One operation on an inventory.
#[derive(Clone, Debug)]
enum Operation {
    Product(ProductOperation),
    Order(OrderOperation),
    Reservation(ReservationOperation),
}

fn operations() -> impl Strategy<Value = Operation> {
    prop_oneof![
        13 => products::operations().prop_map(Operation::Product),
        15 => orders::operations().prop_map(Operation::Order),
        6 => reservations::operations().prop_map(Operation::Reservation),
    ]
}

/// Runs the operation and returns its answer as text.
async fn apply(case: &Case<'_>, operation: &Operation) -> String {
    match operation {
        Operation::Product(operation) => products::apply(case, operation).await,
        Operation::Order(operation) => orders::apply(case, operation).await,
        Operation::Reservation(operation) => reservations::apply(case, operation).await,
    }
}

#[test]
fn every_inventory_answers_as_the_one_in_memory() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = runtime.block_on(Db::new());
    let shops =
        STRATEGIES.map(|strategy| PgInventory::new(db.pool.clone()).with_strategy(strategy));
    let batched = BatchedInventory::new(shops[0].clone(), BatchOptions::new().always());
    let shops = shops.iter().map(|shop| shop as &dyn Inventory);
    let shops: Vec<&dyn Inventory> = shops.chain([&batched as &dyn Inventory]).collect();
    let mut runner = TestRunner::new(proptest::test_runner::Config {
        cases: std::env::var("PROPTEST_CASES")
            .map_or(48, |number| number.parse().expect("a number")),
        ..Default::default()
    });
    let outcome = runner.run(&vec(operations(), 1..60), |operations| {
        for &shop in &shops {
            let (id, memory) = (Uuid::now_v7(), MemoryInventory::new());
            let reference = Case { shop: &memory, id };
            let tested = Case { shop, id };
            for operation in &operations {
                let (expected, found) = runtime.block_on(async {
                    (
                        apply(&reference, operation).await,
                        apply(&tested, operation).await,
                    )
                });
                prop_assert_eq!(expected, found, "{:?}", operation);
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|difference| panic!("{difference}"));
    runtime.block_on(assert_balanced(&db.pool));
}

//! Random operations: every inventory gives the same answers as the one in memory.

use std::time::Duration;

use optilock::{
    Version,
    inventory::{
        Adjustment, BatchOptions, BatchedInventory, Checkout, Error, Inventory, Line,
        MemoryInventory, NewProduct, Order, OrderId, OrderStep, Page, PgInventory, Product,
        Reservation, Reserve, ReturnRequest, Strategy,
    },
};
use proptest::{
    collection::vec, option::of as option, prelude::any, prop_assert_eq, prop_oneof,
    strategy::Strategy as _, test_runner::TestRunner,
};
use uuid::Uuid;

use crate::{
    support::db::{Db, assert_books},
    support::goods::{pesos, sku, stock, units},
};

/// One operation, with small numbers in place of names and versions, so that they meet.
#[derive(Clone, Debug)]
enum Op {
    Add {
        product: u8,
        units: u8,
    },
    Edit {
        product: u8,
        revision: u8,
        price: u8,
    },
    Retire {
        product: u8,
        version: u8,
    },
    Pause {
        product: u8,
    },
    Resume {
        product: u8,
    },
    Adjust {
        product: u8,
        id: u8,
        delta: i8,
    },
    Count {
        product: u8,
        version: u8,
        units: u8,
    },
    Look {
        product: u8,
        version: u8,
    },
    Checkout {
        id: u8,
        customer: bool,
        key: Option<u8>,
        reservation: Option<u8>,
        lines: Vec<(u8, u8, Option<u8>, Option<u8>)>,
    },
    Reserve {
        id: u8,
        customer: bool,
        key: Option<u8>,
        lines: Vec<(u8, u8)>,
        expired: bool,
    },
    Release {
        id: u8,
    },
    Extend {
        id: u8,
    },
    Order {
        id: u8,
    },
    Pay {
        id: u8,
        version: Option<u8>,
    },
    Fail {
        id: u8,
        version: Option<u8>,
    },
    Cancel {
        id: u8,
        version: Option<u8>,
    },
    Revive {
        id: u8,
        version: Option<u8>,
    },
    ReturnRequest {
        id: u8,
        order: u8,
        version: Option<u8>,
        lines: Vec<(u8, u8)>,
    },
    Ledger {
        product: u8,
    },
}

fn op() -> impl proptest::strategy::Strategy<Value = Op> {
    let (product, version) = (0_u8..3, 1_u8..8);
    let line = (
        product.clone(),
        1_u8..4,
        any::<Option<u8>>(),
        any::<Option<u8>>(),
    );
    prop_oneof![
        3 => (product.clone(), 0_u8..12).prop_map(|(product, units)| Op::Add { product, units }),
        1 => (product.clone(), 1_u8..4, 1_u8..3).prop_map(|(product, revision, price)| Op::Edit { product, revision, price }),
        1 => (product.clone(), version.clone()).prop_map(|(product, version)| Op::Retire { product, version }),
        1 => product.clone().prop_map(|product| Op::Pause { product }),
        2 => product.clone().prop_map(|product| Op::Resume { product }),
        2 => (product.clone(), 0_u8..4, -6_i8..6).prop_map(|(product, id, delta)| Op::Adjust { product, id, delta }),
        1 => (product.clone(), version.clone(), 0_u8..9).prop_map(|(product, version, units)| Op::Count { product, version, units }),
        1 => (product, version).prop_map(|(product, version)| Op::Look { product, version }),
        6 => (0_u8..8, any::<bool>(), option(0_u8..3), option(0_u8..6), vec(line, 0..4))
            .prop_map(|(id, customer, key, reservation, lines)| Op::Checkout { id, customer, key, reservation, lines }),
        4 => (0_u8..6, any::<bool>(), option(0_u8..3), vec((0_u8..3, 1_u8..3), 0..3), any::<bool>())
            .prop_map(|(id, customer, key, lines, expired)| Op::Reserve { id, customer, key, lines, expired }),
        1 => (0_u8..6).prop_map(|id| Op::Release { id }),
        1 => (0_u8..6).prop_map(|id| Op::Extend { id }),
        1 => (0_u8..8).prop_map(|id| Op::Order { id }),
        2 => (0_u8..8, option(1_u8..5)).prop_map(|(id, version)| Op::Pay { id, version }),
        1 => (0_u8..8, option(1_u8..5)).prop_map(|(id, version)| Op::Fail { id, version }),
        2 => (0_u8..8, option(1_u8..5)).prop_map(|(id, version)| Op::Cancel { id, version }),
        1 => (0_u8..8, option(1_u8..5)).prop_map(|(id, version)| Op::Revive { id, version }),
        2 => (0_u8..4, 0_u8..8, option(1_u8..5), vec((0_u8..3, 1_u8..3), 0..3))
            .prop_map(|(id, order, version, lines)| Op::ReturnRequest { id, order, version, lines }),
        1 => (0_u8..3).prop_map(|product| Op::Ledger { product }),
    ]
}

fn version(number: u8) -> Version {
    Version::new(number.into()).expect("from 1")
}

/// Everything of an answer but the times.
fn told<T>(answer: Result<T, Error>, show: impl FnOnce(T) -> String) -> String {
    match answer {
        Ok(value) => show(value),
        Err(error) => format!("{} {}: {error}", error.http_status(), error.code()),
    }
}

fn of_product(product: Product) -> String {
    let Product {
        sku,
        name,
        price,
        stock,
        reserved,
        version,
        revision,
        paused,
        ..
    } = product;
    format!("{sku} {name} {price} {stock} {reserved} {version} {revision} {paused}")
}

fn of_order(order: Order) -> String {
    let Order {
        id,
        customer,
        status,
        lines,
        total,
        version,
        reason,
        replayed,
        ..
    } = order;
    format!("{id} {customer:?} {status} {lines:?} {total} {version} {reason:?} {replayed}")
}

fn of_reservation(reservation: Reservation) -> String {
    let Reservation {
        id,
        customer,
        holds,
        replayed,
        ..
    } = reservation;
    let holds = holds.iter();
    let holds = holds.map(|it| format!("{} {} {} {}", it.sku, it.quantity, it.held, it.state));
    let holds: Vec<String> = holds.collect();
    format!("{id} {customer:?} {} {replayed}", holds.join(", "))
}

async fn step(shop: &dyn Inventory, step: OrderStep, expected: Option<u8>) -> String {
    let step = match expected {
        Some(number) => step.expecting_version(version(number)),
        None => step,
    };
    told(shop.step(step).await, of_order)
}

async fn apply(shop: &dyn Inventory, case: Uuid, op: &Op) -> String {
    let name = |product: u8| sku(&format!("{case}-{product}"));
    let id = |number: u8| Uuid::from_u128(case.as_u128() ^ u128::from(number));
    match op {
        Op::Add { product, units } => {
            let new =
                NewProduct::new(name(*product), "Pot", pesos(1)).with_stock(stock((*units).into()));
            told(shop.add_product(new).await, of_product)
        }
        Op::Edit {
            product,
            revision,
            price,
        } => {
            let mut changed = Product::new(name(*product), "Pot", pesos((*price).into()));
            changed.revision = version(*revision);
            told(shop.update_product(&changed).await, of_product)
        }
        Op::Retire {
            product,
            version: number,
        } => told(
            shop.retire_product(&name(*product), version(*number)).await,
            |()| String::new(),
        ),
        Op::Pause { product } => told(shop.pause(&name(*product)).await, of_product),
        Op::Resume { product } => told(shop.resume(&name(*product)).await, of_product),
        Op::Adjust {
            product,
            id: number,
            delta,
        } => match Adjustment::new(name(*product), (*delta).into(), "delivery") {
            Ok(adjustment) => told(
                shop.adjust_stock(adjustment.with_id(id(*number))).await,
                of_product,
            ),
            Err(error) => error.to_string(),
        },
        Op::Count {
            product,
            version: number,
            units,
        } => {
            let counted = stock((*units).into());
            told(
                shop.count_stock(&name(*product), version(*number), counted, "day")
                    .await,
                of_product,
            )
        }
        Op::Look {
            product,
            version: number,
        } => {
            let at = told(
                shop.product_at(&name(*product), version(*number)).await,
                of_product,
            );
            at + &told(shop.product(&name(*product)).await, of_product)
        }
        Op::Checkout {
            id: number,
            customer,
            key,
            reservation,
            lines,
        } => {
            let lines =
                lines
                    .iter()
                    .map(|(product, quantity, expected_version, expected_price)| {
                        let mut line = Line::new(name(*product), units((*quantity).into()));
                        if let Some(number) = expected_version {
                            line = line.expecting_version(version(number % 8 + 1));
                        }
                        if let Some(price) = expected_price {
                            line = line.expecting_price(pesos((price % 2 + 1).into()));
                        }
                        line
                    });
            match Checkout::new(lines) {
                Ok(request) => {
                    let mut request = request.with_order_id(OrderId::from(id(*number)));
                    if *customer {
                        request = request.with_customer("ana");
                    }
                    if let Some(key) = key {
                        request = request.with_idempotency_key(format!("{case} {key}"));
                    }
                    if let Some(number) = reservation {
                        request = request.with_reservation(id(*number).into());
                    }
                    told(shop.checkout(request).await, of_order)
                }
                Err(error) => error.to_string(),
            }
        }
        Op::Order { id: number } => told(shop.order(OrderId::from(id(*number))).await, of_order),
        Op::Pay {
            id: number,
            version,
        } => match version {
            Some(_) => step(shop, OrderStep::mark_paid(id(*number).into()), *version).await,
            None => told(shop.mark_paid(id(*number).into()).await, of_order),
        },
        Op::Fail {
            id: number,
            version,
        } => match version {
            Some(_) => {
                let failed = OrderStep::mark_payment_failed(id(*number).into());
                step(shop, failed, *version).await
            }
            None => told(shop.mark_payment_failed(id(*number).into()).await, of_order),
        },
        Op::Cancel {
            id: number,
            version,
        } => match version {
            Some(_) => step(shop, OrderStep::cancel(id(*number).into(), "no"), *version).await,
            None => told(shop.cancel(id(*number).into(), "no").await, of_order),
        },
        Op::Revive {
            id: number,
            version,
        } => match version {
            Some(_) => step(shop, OrderStep::revive(id(*number).into()), *version).await,
            None => told(shop.revive(id(*number).into()).await, of_order),
        },
        Op::ReturnRequest {
            id: number,
            order,
            version: expected,
            lines,
        } => {
            let lines = lines.iter();
            let lines = lines.map(|(product, count)| (name(*product), units((*count).into())));
            match ReturnRequest::new(OrderId::from(id(*order)), lines, "broken") {
                Ok(request) => {
                    let mut request = request.with_id(id(*number));
                    if let Some(number) = expected {
                        request = request.expecting_version(version(*number));
                    }
                    told(shop.return_items(request).await, of_order)
                }
                Err(error) => error.to_string(),
            }
        }
        Op::Reserve {
            id: number,
            customer,
            key,
            lines,
            expired,
        } => {
            let lines = lines.iter();
            let lines = lines.map(|(product, count)| (name(*product), units((*count).into())));
            match Reserve::new(lines) {
                Ok(request) => {
                    let mut request = request.with_reservation_id(id(*number).into());
                    if *customer {
                        request = request.with_customer("ana");
                    }
                    if let Some(key) = key {
                        request = request.with_idempotency_key(format!("{case} {key}"));
                    }
                    if *expired {
                        // Whether the answer was quicker is nobody's promise.
                        request = request.for_duration(Duration::from_micros(1));
                        return told(shop.reserve(request).await, |it| it.id.to_string());
                    }
                    told(shop.reserve(request).await, of_reservation)
                }
                Err(error) => error.to_string(),
            }
        }
        Op::Release { id: number } => {
            let released = told(shop.release(id(*number).into()).await, |()| String::new());
            let found = shop.reservation(id(*number).into()).await;
            released + &told(found, of_reservation)
        }
        Op::Extend { id: number } => {
            let extended = shop.extend(id(*number).into(), Reserve::MAX_DURATION);
            told(extended.await, of_reservation)
        }
        Op::Ledger { product } => {
            let ledger = shop.movements(&name(*product), Page::first(100)).await;
            told(ledger, |ledger| {
                let movements = ledger.iter().map(|it| {
                    let (kind, delta, after) = (it.kind, it.delta, it.stock_after);
                    format!(
                        "{} {kind} {delta} {after} {:?} {:?}",
                        it.version, it.order, it.reason
                    )
                });
                movements.collect::<Vec<_>>().join("; ")
            })
        }
    }
}

#[test]
fn as_in_memory() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = runtime.block_on(Db::new());
    let shops = [
        Strategy::Guarded,
        Strategy::Optimistic,
        Strategy::Pessimistic,
    ]
    .map(|strategy| PgInventory::new(db.pool.clone()).with_strategy(strategy));
    let batched = BatchedInventory::new(shops[0].clone(), BatchOptions::new().always());
    let shops = shops.iter().map(|shop| shop as &dyn Inventory);
    let shops: Vec<&dyn Inventory> = shops.chain([&batched as &dyn Inventory]).collect();
    let mut runner = TestRunner::new(proptest::test_runner::Config {
        cases: std::env::var("PROPTEST_CASES").map_or(48, |it| it.parse().expect("a number")),
        ..Default::default()
    });
    let outcome = runner.run(&vec(op(), 1..60), |ops| {
        for &shop in &shops {
            let (case, memory) = (Uuid::now_v7(), MemoryInventory::new());
            for op in &ops {
                let (expected, found) = runtime.block_on(async {
                    (apply(&memory, case, op).await, apply(shop, case, op).await)
                });
                prop_assert_eq!(expected, found, "{:?}", op);
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|difference| panic!("{difference}"));
    runtime.block_on(assert_books(&db.pool));
}

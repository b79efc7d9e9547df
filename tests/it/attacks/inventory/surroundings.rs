//! The table of surroundings, in groups. Each group is a test.

mod backlog;
mod clocks;
mod connections;
mod crash;
mod drops;
mod failover;
mod isolation;
mod locks;
mod logins;
mod numbers;
mod pgbouncer;
mod policies;
mod pools;
mod refusals;
mod repeated;
mod runtimes;
mod tables;
mod triggers;
mod undisturbed;
mod written_tables;

use super::{
    Answer, Cell, FLOOR, Fixture, Harness, LIMIT, Layer, Prepared, Shop, Variant, balances,
    fixture, lock_holder, matrix, operations,
};
use crate::attacks::{EACH_POLL, hostile, passwords, surroundings};
use lock_holder::{ENTRY, HOLDS, ORDER, PRODUCTS};

const NO_PRODUCT: Cell = Cell::CannotApply("there is no product yet");

surroundings! {
    isolation_levels {
        "0 undisturbed": undisturbed::run,
        "1 repeatable read": isolation::default_of("repeatable read"),
        "1 serializable": isolation::default_of("serializable"),
    }
    triggers_of_products_and_orders {
        "2 products INSERT null": triggers::tampering(("products", "INSERT", "null")),
        "2 products INSERT altered": triggers::tampering(("products", "INSERT", "altered")),
        "2 products UPDATE null": triggers::tampering(("products", "UPDATE", "null")),
        "2 products UPDATE old": triggers::tampering(("products", "UPDATE", "old")),
        "2 products UPDATE altered": triggers::tampering(("products", "UPDATE", "altered")),
        "2 orders INSERT null": triggers::tampering(("orders", "INSERT", "null")),
        "2 orders INSERT altered": triggers::tampering(("orders", "INSERT", "altered")),
        "2 orders UPDATE null": triggers::tampering(("orders", "UPDATE", "null")),
        "2 orders UPDATE old": triggers::tampering(("orders", "UPDATE", "old")),
        "2 orders UPDATE altered": triggers::tampering(("orders", "UPDATE", "altered")),
        "2 order_lines INSERT null": triggers::tampering(("order_lines", "INSERT", "null")),
        "2 order_lines INSERT altered": triggers::tampering(("order_lines", "INSERT", "altered")),
        "2 order_lines UPDATE null": triggers::tampering(("order_lines", "UPDATE", "null")),
        "2 order_lines UPDATE old": triggers::tampering(("order_lines", "UPDATE", "old")),
        "2 order_lines UPDATE altered": triggers::tampering(("order_lines", "UPDATE", "altered")),
    }
    triggers_of_the_rest {
        "2 holds INSERT null": triggers::tampering(("holds", "INSERT", "null")),
        "2 holds INSERT altered": triggers::tampering(("holds", "INSERT", "altered")),
        "2 holds UPDATE null": triggers::tampering(("holds", "UPDATE", "null")),
        "2 holds UPDATE old": triggers::tampering(("holds", "UPDATE", "old")),
        "2 holds UPDATE altered": triggers::tampering(("holds", "UPDATE", "altered")),
        "2 movements INSERT null": triggers::tampering(("movements", "INSERT", "null")),
        "2 movements INSERT altered": triggers::tampering(("movements", "INSERT", "altered")),
        "2 movements UPDATE null": triggers::tampering(("movements", "UPDATE", "null")),
        "2 reservations INSERT null": triggers::tampering(("reservations", "INSERT", "null")),
        "2 reservations INSERT altered": triggers::tampering(("reservations", "INSERT", "altered")),
        "2 reservations UPDATE null": triggers::tampering(("reservations", "UPDATE", "null")),
        "2 returns INSERT null": triggers::tampering(("returns", "INSERT", "null")),
        "2 returns INSERT altered": triggers::tampering(("returns", "INSERT", "altered")),
        "2 returns UPDATE null": triggers::tampering(("returns", "UPDATE", "null")),
        "2 outbox INSERT null": triggers::tampering(("outbox", "INSERT", "null")),
        "2 outbox INSERT altered": triggers::tampering(("outbox", "INSERT", "altered")),
        "2 outbox DELETE null": triggers::tampering(("outbox", "DELETE", "null")),
    }
    row_policies {
        "3 products INSERT": policies::hiding(("products", "INSERT")),
        "3 products UPDATE": policies::hiding(("products", "UPDATE")),
        "3 orders INSERT": policies::hiding(("orders", "INSERT")),
        "3 orders UPDATE": policies::hiding(("orders", "UPDATE")),
        "3 order_lines INSERT": policies::hiding(("order_lines", "INSERT")),
        "3 order_lines UPDATE": policies::hiding(("order_lines", "UPDATE")),
        "3 holds INSERT": policies::hiding(("holds", "INSERT")),
        "3 holds UPDATE": policies::hiding(("holds", "UPDATE")),
        "3 movements INSERT": policies::hiding(("movements", "INSERT")),
        "3 movements UPDATE": policies::hiding(("movements", "UPDATE")),
        "3 reservations INSERT": policies::hiding(("reservations", "INSERT")),
        "3 reservations UPDATE": policies::hiding(("reservations", "UPDATE")),
        "3 returns INSERT": policies::hiding(("returns", "INSERT")),
        "3 returns UPDATE": policies::hiding(("returns", "UPDATE")),
        "3 outbox INSERT": policies::hiding(("outbox", "INSERT")),
        "3 outbox DELETE": policies::hiding(("outbox", "DELETE")),
    }
    host_refusals {
        "4 one product": refusals::of_one(&[("products", "sku"), ("movements", "sku"), ("holds", "sku")]),
        "4 one customer": refusals::of_one(&[("orders", "customer"), ("reservations", "customer")]),
        "4 one order": refusals::of_one(&[("orders", "id"), ("order_lines", "order_id"), ("returns", "order_id"), ("outbox", "order_id")]),
    }
    row_locks {
        "5 product locked": locks::of_row(PRODUCTS),
        "5 order locked": locks::of_row(ORDER),
        "5 hold locked": locks::of_row(HOLDS),
        "5 entry locked": locks::of_row(ENTRY),
        "6 lock_timeout": locks::with_timeout(("lock_timeout", "60ms", "busy")),
        "6 statement_timeout": locks::with_timeout(("statement_timeout", "150ms", "database")),
        "6 idle_in_transaction_session_timeout": locks::idle,
    }
    backlogs {
        "7 expired holds": backlog::expired_holds(10_000),
        "7 unpaid orders": backlog::orders((0, 3_000)),
        "7 old orders": backlog::orders((2, 3_000)),
    }
    lost_connections {
        "1 conflict": connections::conflicts,
        "8 silence": connections::silence,
        "9 cut": connections::cut,
        "10 terminated": connections::terminated,
        "11 cancelled": connections::cancelled,
    }
    refused_logins {
        "12 wrong password": logins::wrong_password,
        "12 no role": logins::no_role,
        "12 no database": logins::no_database,
        "12 read-only": logins::read_only,
        "12 full": logins::full,
    }
    dropped_futures {
        "13 dropped": drops::direct(1),
        "13 dropped in a transaction": drops::in_transaction,
        "13 raced": drops::raced,
    }
    stopped_runtimes {
        "14 not driven": runtimes::not_driven,
        "14 unwinding": runtimes::unwinding,
        "14 runtime dropped": runtimes::runtime_dropped,
        "14 hook panics": runtimes::hook_panics,
    }
    pools_and_tables {
        "15 pool of 1": pools::of_one,
        "15 crowd": pools::crowd(48),
        "15 closed": pools::closed,
        "15 hooks": pools::hooks,
        "16 schema": tables::schema,
        "17 same names": tables::same_names,
    }
    repeated_requests {
        "18 at once": repeated::at_once,
        "18 later": repeated::later,
        "18 undone": repeated::undone,
        "18 another cart": repeated::another_cart,
        "18 another key": repeated::another_key,
    }
    numbers_and_clocks {
        "19 largest stock": numbers::stock(numbers::LARGEST),
        "19 more than the largest stock": numbers::stock(numbers::LARGEST + 5),
        "19 last stock": numbers::stock(i64::MAX),
        "19 last version of products": numbers::product_version,
        "19 last version of orders": numbers::order_version,
        "19 largest price": numbers::price,
        "19 pages and durations": numbers::pages_and_durations,
        "20 commit order": clocks::commit_order,
        "20 client's clock": clocks::clients_clock,
        "20 another server's clock": clocks::another_server,
    }
    hostile_names {
        "17 hostile functions": tables::hostile_functions,
    }
    #[ignore = "takes minutes"]
    many_drops {
        "13 dropped many times": drops::direct(EACH_POLL),
    }
    #[ignore = "takes minutes"]
    expired_holds_in_full_size {
        "7 expired holds, full size": backlog::expired_holds(100_000),
    }
    #[ignore = "takes minutes"]
    orders_in_full_size {
        "7 unpaid orders, full size": backlog::orders((0, 100_000)),
        "7 old orders, full size": backlog::orders((2, 1_000_000)),
    }
    #[ignore = "takes minutes"]
    crowds_in_full_size {
        "15 crowd, full size": pools::crowd(256),
    }
}

//! The table of surroundings, by groups: each group is a test.

mod backlog;
mod calm;
mod crash;
mod dropped;
mod ends;
mod held;
mod isolation;
mod pools;
mod refused;
mod suppressed;
mod twice;
mod wire;

use super::{
    Answer, Bench, Case, Cell, LIMIT, POLICY, Subject, Surrounding, TALLY, books, case, holder,
    operations, run,
};
use holder::{HOLDS, ORDER, PRODUCTS};

macro_rules! surroundings {
    ($($group:ident { $($name:literal: $module:ident::$attack:ident $(($with:expr))?,)* })*) => {
        pub const ALL: &[&[Surrounding]] = &[$($group::GROUP),*];
        $(mod $group {
            #[allow(clippy::wildcard_imports, unused_imports, reason = "one part of one table")]
            use super::*;

            pub const GROUP: &[Surrounding] = &[$(Surrounding {
                name: $name,
                attack: |bench, subject, cell| Box::pin($module::$attack(bench, subject, cell $(, $with)?)),
            },)*];

            #[tokio::test(flavor = "multi_thread")]
            async fn every_operation() {
                run(GROUP).await;
            }
        })*
    };
}

surroundings! {
    isolation_levels {
        "0 calm": calm::calm,
        "1 repeatable read": isolation::default_of("repeatable read"),
        "1 serializable": isolation::default_of("serializable"),
    }
    triggers {
        "2 products INSERT null": suppressed::by_trigger(("products", "INSERT", "null")),
        "2 products INSERT altered": suppressed::by_trigger(("products", "INSERT", "altered")),
        "2 products UPDATE null": suppressed::by_trigger(("products", "UPDATE", "null")),
        "2 products UPDATE old": suppressed::by_trigger(("products", "UPDATE", "old")),
        "2 products UPDATE altered": suppressed::by_trigger(("products", "UPDATE", "altered")),
        "2 orders INSERT null": suppressed::by_trigger(("orders", "INSERT", "null")),
        "2 orders INSERT altered": suppressed::by_trigger(("orders", "INSERT", "altered")),
        "2 orders UPDATE null": suppressed::by_trigger(("orders", "UPDATE", "null")),
        "2 orders UPDATE old": suppressed::by_trigger(("orders", "UPDATE", "old")),
        "2 orders UPDATE altered": suppressed::by_trigger(("orders", "UPDATE", "altered")),
        "2 order_lines INSERT null": suppressed::by_trigger(("order_lines", "INSERT", "null")),
        "2 order_lines INSERT altered": suppressed::by_trigger(("order_lines", "INSERT", "altered")),
        "2 order_lines UPDATE null": suppressed::by_trigger(("order_lines", "UPDATE", "null")),
        "2 order_lines UPDATE old": suppressed::by_trigger(("order_lines", "UPDATE", "old")),
        "2 order_lines UPDATE altered": suppressed::by_trigger(("order_lines", "UPDATE", "altered")),
    }
    more_triggers {
        "2 holds INSERT null": suppressed::by_trigger(("holds", "INSERT", "null")),
        "2 holds INSERT altered": suppressed::by_trigger(("holds", "INSERT", "altered")),
        "2 holds UPDATE null": suppressed::by_trigger(("holds", "UPDATE", "null")),
        "2 holds UPDATE old": suppressed::by_trigger(("holds", "UPDATE", "old")),
        "2 holds UPDATE altered": suppressed::by_trigger(("holds", "UPDATE", "altered")),
        "2 movements INSERT null": suppressed::by_trigger(("movements", "INSERT", "null")),
        "2 movements INSERT altered": suppressed::by_trigger(("movements", "INSERT", "altered")),
        "2 movements UPDATE null": suppressed::by_trigger(("movements", "UPDATE", "null")),
        "2 reservations INSERT null": suppressed::by_trigger(("reservations", "INSERT", "null")),
        "2 reservations INSERT altered": suppressed::by_trigger(("reservations", "INSERT", "altered")),
        "2 reservations UPDATE null": suppressed::by_trigger(("reservations", "UPDATE", "null")),
        "2 returns INSERT null": suppressed::by_trigger(("returns", "INSERT", "null")),
        "2 returns INSERT altered": suppressed::by_trigger(("returns", "INSERT", "altered")),
        "2 returns UPDATE null": suppressed::by_trigger(("returns", "UPDATE", "null")),
    }
    policies {
        "3 products INSERT": suppressed::by_policy(("products", "INSERT")),
        "3 products UPDATE": suppressed::by_policy(("products", "UPDATE")),
        "3 orders INSERT": suppressed::by_policy(("orders", "INSERT")),
        "3 orders UPDATE": suppressed::by_policy(("orders", "UPDATE")),
        "3 order_lines INSERT": suppressed::by_policy(("order_lines", "INSERT")),
        "3 order_lines UPDATE": suppressed::by_policy(("order_lines", "UPDATE")),
        "3 holds INSERT": suppressed::by_policy(("holds", "INSERT")),
        "3 holds UPDATE": suppressed::by_policy(("holds", "UPDATE")),
        "3 movements INSERT": suppressed::by_policy(("movements", "INSERT")),
        "3 movements UPDATE": suppressed::by_policy(("movements", "UPDATE")),
        "3 reservations INSERT": suppressed::by_policy(("reservations", "INSERT")),
        "3 reservations UPDATE": suppressed::by_policy(("reservations", "UPDATE")),
        "3 returns INSERT": suppressed::by_policy(("returns", "INSERT")),
        "3 returns UPDATE": suppressed::by_policy(("returns", "UPDATE")),
    }
    refusals {
        "4 one product": refused::one(&[("products", "sku"), ("movements", "sku"), ("holds", "sku")]),
        "4 one customer": refused::one(&[("orders", "customer"), ("reservations", "customer")]),
        "4 one order": refused::one(&[("orders", "id"), ("order_lines", "order_id"), ("returns", "order_id")]),
    }
    holders {
        "5 product held": held::row(PRODUCTS),
        "5 order held": held::row(ORDER),
        "5 hold held": held::row(HOLDS),
        "6 lock_timeout": held::with_limit(("lock_timeout", "60ms", "busy")),
        "6 statement_timeout": held::with_limit(("statement_timeout", "150ms", "database")),
        "6 idle_in_transaction_session_timeout": held::idle,
    }
    backlogs {
        "7 expired holds": backlog::expired_holds(10_000),
        "7 unpaid orders": backlog::orders((0, 10_000)),
        "7 old orders": backlog::orders((2, 10_000)),
    }
    lost_connections {
        "8 silence": wire::silence,
        "9 cut": wire::cut,
        "10 terminated": wire::terminated,
        "11 cancelled": wire::cancelled,
    }
    not_let_in {
        "12 wrong password": wire::wrong_password,
        "12 no role": wire::no_role,
        "12 no database": wire::no_database,
        "12 read-only": wire::read_only,
        "12 full": wire::full,
    }
    drops {
        "13 dropped": dropped::alone,
        "13 dropped in a transaction": dropped::in_transaction,
        "13 raced": dropped::raced,
    }
    runtimes {
        "14 still": dropped::standing_still,
        "14 unwinding": dropped::unwinding,
        "14 runtime dropped": dropped::runtime_dropped,
        "14 hook panics": dropped::hook_panics,
    }
    pools_and_tables {
        "15 pool of 1": pools::of_one,
        "15 crowd": pools::crowd(48),
        "15 closed": pools::closed,
        "15 hooks": pools::hooks,
        "16 schema": pools::schema,
        "17 same names": pools::same_names,
    }
    requests {
        "18 at once": twice::at_once,
        "18 later": twice::later,
        "18 undone": twice::undone,
        "18 another cart": twice::another_cart,
        "18 another key": twice::another_key,
    }
    numbers_and_clocks {
        "19 largest stock": ends::stock(ends::LARGEST),
        "19 more than the largest stock": ends::stock(ends::LARGEST + 5),
        "19 last stock": ends::stock(i64::MAX),
        "19 last version of products": ends::product_version,
        "19 last version of orders": ends::order_version,
        "19 largest price": ends::price,
        "19 pages and durations": ends::pages_and_durations,
        "20 commit order": ends::commit_order,
        "20 client's clock": ends::clients_clock,
    }
}

/// The full sizes, which take minutes.
mod full_size {
    use super::*;

    const FULL: &[Surrounding] = &[
        Surrounding {
            name: "7 expired holds, full size",
            attack: |bench, subject, cell| {
                Box::pin(backlog::expired_holds(bench, subject, cell, 100_000))
            },
        },
        Surrounding {
            name: "7 unpaid orders, full size",
            attack: |bench, subject, cell| {
                Box::pin(backlog::orders(bench, subject, cell, (0, 100_000)))
            },
        },
        Surrounding {
            name: "7 old orders, full size",
            attack: |bench, subject, cell| {
                Box::pin(backlog::orders(bench, subject, cell, (2, 1_000_000)))
            },
        },
        Surrounding {
            name: "15 crowd, full size",
            attack: |bench, subject, cell| Box::pin(pools::crowd(bench, subject, cell, 256)),
        },
    ];

    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "takes minutes"]
    async fn every_operation() {
        run(FULL).await;
    }
}

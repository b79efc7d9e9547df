//! The table of surroundings of rows and transactions, in groups. Each group is a test.

mod connections;
mod crash;
mod drops;
mod locks;
mod logins;
mod names;
mod pgbouncer;
mod pools;
mod repeated;
mod runtimes;
mod suppressed;
mod unaffected;

use super::{Answer, Cell, Effect, FLOOR, Harness, LIMIT, Operation, harness, matrix};
use crate::attacks::{EACH_POLL, hostile, surroundings};

surroundings! {
    locks_and_levels {
        "0 undisturbed": unaffected::run,
        "1 repeatable read": locks::default_of("repeatable read"),
        "1 serializable": locks::default_of("serializable"),
        "5 row locked": locks::of_row,
        "6 lock_timeout": locks::with_timeout(("lock_timeout", "60ms")),
        "6 statement_timeout": locks::with_timeout(("statement_timeout", "150ms")),
        "6 idle_in_transaction_session_timeout": locks::idle,
        "7 backlog": unaffected::backlog,
    }
    suppressed_writes {
        "2 INSERT null": suppressed::tampering(("INSERT", "null")),
        "2 UPDATE null": suppressed::tampering(("UPDATE", "null")),
        "2 UPDATE old": suppressed::tampering(("UPDATE", "old")),
        "2 UPDATE altered": suppressed::tampering(("UPDATE", "altered")),
        "2 DELETE null": suppressed::tampering(("DELETE", "null")),
        "3 INSERT": suppressed::hiding("INSERT"),
        "3 UPDATE": suppressed::hiding("UPDATE"),
        "3 DELETE": suppressed::hiding("DELETE"),
        "4 one row": suppressed::refusing,
    }
    lost_connections {
        "1 conflict": connections::conflicts,
        "8 silence": connections::silence,
        "9 cut": connections::cut,
        "10 terminated": connections::terminated,
        "11 cancelled": connections::cancelled,
        "12 wrong password": logins::wrong_password,
        "12 no role": logins::no_role,
        "12 no database": logins::no_database,
        "12 read-only": logins::read_only,
        "12 full": logins::full,
    }
    futures_and_runtimes {
        "13 dropped": drops::dropped(1),
        "13 dropped in a transaction": drops::in_transaction,
        "13 raced": drops::raced,
        "14 not driven": runtimes::not_driven,
        "14 unwinding": runtimes::unwinding,
        "14 runtime dropped": runtimes::runtime_dropped,
        "14 closure panics": runtimes::closure_panics,
    }
    pools_and_tables {
        "15 pool of 1": pools::of_one,
        "15 crowd": pools::crowd(64),
        "15 closed": pools::closed,
        "15 hooks": pools::hooks,
        "16 schema": pools::schema,
        "17 same names": names::same_names,
        "18 at once": repeated::at_once,
        "18 later": repeated::later,
        "19 last version": repeated::last_version,
        "20 clocks": unaffected::clocks,
    }
    #[ignore = "takes minutes"]
    many_drops {
        "13 dropped many times": drops::dropped(EACH_POLL),
    }
    hostile_names {
        "17 hostile functions": names::hostile_functions,
    }
    #[ignore = "takes minutes"]
    full_size {
        "15 crowd, full size": pools::crowd(256),
    }
}

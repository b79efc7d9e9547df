//! The table of surroundings of the inventory in memory.

mod numbers;
mod process;
mod repeated;

use super::{Answer, Cell, Ground, Harness, OnRepeat, Variant};
use crate::attacks::surroundings;

pub async fn without_server(_: &Harness, _: &Variant, _: &str) -> Cell {
    Cell::CannotApply("there is no server, and so no session, row lock, trigger, login or schema")
}

/// The surroundings of a server.
mod server {
    pub use super::without_server as none;
}

surroundings! {
    in_memory {
        "0 undisturbed": process::undisturbed,
        "1 isolation levels": server::none,
        "2 triggers": server::none,
        "3 policies": server::none,
        "4 refused rows": server::none,
        "5 row locks": server::none,
        "6 timeouts": server::none,
        "7 backlog": numbers::backlog,
        "8 silence": server::none,
        "9 cut connection": server::none,
        "10 terminated": server::none,
        "11 cancelled": server::none,
        "12 refused logins": server::none,
        "13 dropped": process::dropped,
        "13 raced": process::raced,
        "14 no runtime": process::no_runtime,
        "14 unwinding": process::unwinding,
        "14 runtime dropped": process::runtime_dropped,
        "15 crowd": process::crowd,
        "16 schema": server::none,
        "17 same names": server::none,
        "18 at once": repeated::at_once,
        "18 later": repeated::later,
        "18 another cart": repeated::another_cart,
        "18 another key": repeated::another_key,
        "19 largest stock": numbers::largest_stock,
        "19 pages and durations": numbers::pages_and_durations,
        "20 client's clock": numbers::clients_clock,
    }
}

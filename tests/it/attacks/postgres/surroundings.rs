//! The table of surroundings of rows and transactions. Each one is created and seen to act before the operation's
//! answer is judged.

mod connections;
mod drops;
mod logins;
mod pgbouncer;
mod pools;

use std::pin::Pin;

use super::{
    Cell, LIMIT,
    harness::{self, Answer, Harness},
    operations::{Effect, Operation},
};

type Attack =
    for<'a> fn(&'a Harness, &'a Operation, &'a str) -> Pin<Box<dyn Future<Output = Cell> + 'a>>;

pub struct Surrounding {
    pub name: &'static str,
    pub attack: Attack,
}

macro_rules! surroundings {
    ($($name:literal: $module:ident::$attack:ident,)*) => {
        &[$(Surrounding {
            name: $name,
            attack: |harness, operation, cell| Box::pin($module::$attack(harness, operation, cell)),
        },)*]
    };
}

pub const SURROUNDINGS: &[Surrounding] = surroundings! {
    "8 silence": connections::silence,
    "9 cut": connections::cut,
    "11 cancelled": connections::cancelled,
    "12 no database": logins::no_database,
    "12 read-only": logins::read_only,
    "12 full": logins::full,
    "13 dropped": drops::dropped,
    "14 not driven": drops::not_driven,
    "14 unwinding": drops::unwinding,
    "15 pool of 1": pools::of_one,
    "15 crowd": pools::crowd,
    "15 closed": pools::closed,
    "15 hooks": pools::hooks,
    "16 schema": pools::schema,
};

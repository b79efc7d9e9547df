//! One buyer: sends random requests, and keeps what the answers say.

mod orders;
mod reservations;

use std::{collections::BTreeMap, time::Duration};

use optilock::{
    inventory::{BatchedInventory, Checkout, Error, ErrorKind, Line},
    sqlx,
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::{
    FROZEN, NAMES, REFUSED,
    own::{OwnOrder, OwnReservation},
};
use crate::support::goods::{sku, units};

/// The answers to one kind of request.
#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    done: u64,
    refused: u64,
    busy: u64,
    unknown: u64,
}

pub struct Buyer {
    shop: BatchedInventory,
    /// Another process, which is sent some of the requests at the same moment.
    other: BatchedInventory,
    random: StdRng,
    /// Makes idempotency keys differ from those of other buyers.
    number: usize,
    requests: u64,
    last: &'static str,
    answers: BTreeMap<&'static str, Answers>,
    pub orders: Vec<OwnOrder>,
    pub reservations: Vec<OwnReservation>,
}

/// An answer without what only its own request knows.
enum Outcome<T> {
    Done(T),
    Refused(Error),
    /// Nothing happened.
    Busy,
    Unknown,
}

impl Buyer {
    pub fn new(shop: BatchedInventory, other: BatchedInventory, number: usize) -> Self {
        Self {
            shop,
            other,
            random: StdRng::seed_from_u64(rand::random()),
            number,
            requests: 0,
            last: "nothing",
            answers: BTreeMap::new(),
            orders: Vec::new(),
            reservations: Vec::new(),
        }
    }

    /// Returns the last operation that was begun.
    pub const fn last(&self) -> &'static str {
        self.last
    }

    /// Makes a random operation.
    pub async fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..28 => self.buy().await,
            28..46 => self.reserve().await,
            46..50 => self.extend().await,
            50..54 => self.release().await,
            54..68 => self.buy_reserved().await,
            68..80 => self.pay().await,
            80..84 => self.fail_payment().await,
            84..91 => self.cancel().await,
            91..95 => self.revive().await,
            _ => self.return_items().await,
        }
    }

    /// Counts an answer and sorts it.
    fn sort<T>(&mut self, operation: &'static str, answer: Result<T, Error>) -> Outcome<T> {
        let answers = self.answers.entry(operation).or_default();
        match answer {
            Ok(done) => {
                answers.done += 1;
                Outcome::Done(done)
            }
            Err(error) if error.is_unknown() => {
                answers.unknown += 1;
                Outcome::Unknown
            }
            Err(error) if error.is_busy() => {
                answers.busy += 1;
                Outcome::Busy
            }
            Err(error) => {
                answers.refused += 1;
                Outcome::Refused(error)
            }
        }
    }

    /// Sorts the answers to one request, which takes effect once. Of two processes, one may refuse it before a
    /// delivery and the other one accept it afterwards.
    fn sort_all<T>(
        &mut self,
        operation: &'static str,
        answers: Vec<Result<T, Error>>,
    ) -> Outcome<T> {
        let (mut done, mut refused, mut unknown) = (None, None, false);
        for answer in answers {
            match self.sort(operation, answer) {
                Outcome::Done(answer) => done = Some(answer),
                Outcome::Refused(error) => refused = Some(error),
                Outcome::Unknown => unknown = true,
                Outcome::Busy => {}
            }
        }
        match (done, refused) {
            (Some(answer), None) => Outcome::Done(answer),
            (Some(answer), Some(error)) => {
                assert_kind(&error, ErrorKind::InsufficientStock);
                Outcome::Done(answer)
            }
            _ if unknown => Outcome::Unknown,
            (None, Some(error)) => Outcome::Refused(error),
            (None, None) => Outcome::Busy,
        }
    }

    fn begin(&mut self, operation: &'static str) {
        self.last = operation;
        self.requests += 1;
    }

    /// Returns one to three products and their quantities. Most carts have the first product.
    fn random_lines(&mut self) -> Vec<(&'static str, i64)> {
        let count = *[1, 1, 1, 2, 3].choose(&mut self.random).expect("not empty");
        let mut names: Vec<&'static str> = NAMES.sample(&mut self.random, count).copied().collect();
        if self.random.random_bool(0.6) && !names.contains(&NAMES[0]) {
            names[0] = NAMES[0];
        }
        let quantity = |name| (name, self.random.random_range(1..=3));
        names.into_iter().map(quantity).collect()
    }

    fn random_customer(&mut self) -> &'static str {
        if self.random.random_bool(0.05) {
            FROZEN
        } else {
            "ana"
        }
    }

    /// Returns a new idempotency key, and whether the database refuses it.
    fn random_key(&mut self) -> (String, bool) {
        let refused = self.random.random_bool(0.04);
        let prefix = if refused { REFUSED } else { "accepted" };
        (
            format!("{prefix}-{}-{}", self.number, self.requests),
            refused,
        )
    }

    fn cart(lines: &[(&'static str, i64)], customer: &str, key: String) -> Checkout {
        let lines = lines.iter();
        let lines = lines.map(|(name, count)| Line::new(sku(name), units(*count)));
        let cart = Checkout::new(lines).expect("a valid cart");
        cart.with_customer(customer).with_idempotency_key(key)
    }

    /// How long the caller waits before it drops the future, in a few of the requests.
    fn patience(&mut self) -> Option<Duration> {
        let millis = self.random.random_range(0..8);
        self.random
            .random_bool(0.04)
            .then(|| Duration::from_millis(millis))
    }
}

/// Runs an operation and drops it when the caller's patience ends: `None`.
async fn patiently<T>(patience: Option<Duration>, operation: impl Future<Output = T>) -> Option<T> {
    match patience {
        Some(patience) => tokio::time::timeout(patience, operation).await.ok(),
        None => Some(operation.await),
    }
}

/// Asserts that the database refused the request by a trigger of [`super::poison`], and had to.
#[track_caller]
fn assert_poisoned(error: &Error, poisoned: bool) {
    let code = error.as_sqlx().and_then(sqlx::Error::as_database_error);
    let code = code.and_then(|error| error.code());
    let refused = matches!(code.as_deref(), Some("23514" | "P0001"));
    assert!(refused && poisoned, "{error:?}");
}

#[track_caller]
fn assert_kind(error: &Error, expected: ErrorKind) {
    assert_eq!(error.kind(), expected, "{error:?}");
}

/// Asserts that every kind of request was answered with success, and prints how many answers of each there were.
pub fn assert_all_operations_were_made(buyers: &[Buyer], duration: Duration) {
    let mut sums: BTreeMap<&'static str, Answers> = BTreeMap::new();
    for (operation, answers) in buyers.iter().flat_map(|buyer| &buyer.answers) {
        let sum = sums.entry(operation).or_default();
        sum.done += answers.done;
        sum.refused += answers.refused;
        sum.busy += answers.busy;
        sum.unknown += answers.unknown;
    }
    for (operation, sum) in &sums {
        println!("{duration:?}, {operation}: {sum:?}");
    }
    assert_eq!(sums.len(), 10, "{sums:?}");
    assert!(sums.values().all(|sum| sum.done > 0), "{sums:?}");
}

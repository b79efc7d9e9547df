//! One buyer: random requests, some of them dropped, repeated or sent twice at once.

use std::time::Duration;

use optilock::inventory::{OrderId, ReservationId};
use rand::{
    RngExt,
    rngs::StdRng,
    seq::{IndexedRandom, IteratorRandom},
};
use tokio::time::sleep;
use uuid::Uuid;

use super::{journal::Journal, send::send, shop::Shop};
use crate::{
    goods::{ACCOUNTS, PRODUCTS},
    request::{Answer, Id, Line, Request, Step},
};

/// The longest pause between two requests, in milliseconds.
const PAUSE: u64 = 20;

/// How many orders, and how many reservations, a buyer still acts on.
const KEPT: usize = 40;

/// How often a request with an unknown outcome is sent again.
const REPEATS: u32 = 3;

#[derive(Debug)]
pub(super) struct Buyer {
    shop: Shop,
    journal: Journal,
    random: StdRng,
    orders: Vec<(Id, Vec<Line>)>,
    reservations: Vec<(Id, Vec<Line>)>,
}

impl Buyer {
    pub(super) const fn new(shop: Shop, journal: Journal, random: StdRng) -> Self {
        Self {
            shop,
            journal,
            random,
            orders: Vec::new(),
            reservations: Vec::new(),
        }
    }

    /// Sends one random request.
    pub(super) async fn step(&mut self) {
        let pause = self.random.random_range(0..=PAUSE);
        sleep(Duration::from_millis(pause)).await;
        let request = self.next_request();
        let answer = if self.random.random_bool(0.04) {
            let both = tokio::join!(
                send_noted(&self.shop, &self.journal, &request, None),
                send_noted(&self.shop, &self.journal, &request, None),
            );
            if both.0 == Answer::Done {
                both.0
            } else {
                both.1
            }
        } else {
            let patience = self.patience();
            self.send(&request, patience).await
        };
        let answer = self.repeated(&request, answer).await;
        self.keep(request, &answer);
    }

    async fn send(&self, request: &Request, patience: Option<Duration>) -> Answer {
        send_noted(&self.shop, &self.journal, request, patience).await
    }

    /// Sends the request again while its outcome is unknown, and once more in a few cases in which it is done. A
    /// transfer is no operation that can be repeated.
    async fn repeated(&mut self, request: &Request, mut answer: Answer) -> Answer {
        if matches!(request, Request::Transfer { .. }) {
            return answer;
        }
        for _ in 0..REPEATS {
            let again = match answer {
                Answer::Unknown | Answer::Dropped => self.random.random_bool(0.8),
                Answer::Done => self.random.random_bool(0.02),
                Answer::Refused(_) | Answer::Stuck => false,
            };
            if !again {
                break;
            }
            answer = self.send(request, None).await;
        }
        answer
    }

    /// How long the caller waits before it drops the future, in a few of the requests.
    fn patience(&mut self) -> Option<Duration> {
        let limit = Duration::from_micros(self.random.random_range(0..8_000));
        self.random.random_bool(0.04).then_some(limit)
    }

    fn next_request(&mut self) -> Request {
        let order = self.orders.choose(&mut self.random).cloned();
        let reservation = self.reservations.choose(&mut self.random).cloned();
        match (self.random.random_range(0..100), order, reservation) {
            (30..42, ..) => Request::Reserve {
                reservation: ReservationId::new().uuid().as_u128(),
                lines: self.random_lines(),
            },
            (42..46, _, Some((reservation, _))) => Request::Extend { reservation },
            (46..50, _, Some((reservation, _))) => Request::Release { reservation },
            (50..62, _, Some((reservation, lines))) => Request::Checkout {
                order: new_order(),
                lines,
                reservation: Some(reservation),
            },
            (62..72, Some((order, _)), _) => Request::Step {
                order,
                step: Step::Pay,
            },
            (72..76, Some((order, _)), _) => Request::Step {
                order,
                step: Step::FailPayment,
            },
            (76..84, Some((order, _)), _) => Request::Step {
                order,
                step: Step::Cancel,
            },
            (84..88, Some((order, _)), _) => Request::Step {
                order,
                step: Step::Revive,
            },
            (88..93, Some((order, lines)), _) => Request::Return {
                order,
                token: Uuid::now_v7().as_u128(),
                line: (lines[0].0.clone(), 1),
            },
            (93..100, ..) => self.random_transfer(),
            _ => Request::Checkout {
                order: new_order(),
                lines: self.random_lines(),
                reservation: None,
            },
        }
    }

    /// Returns one to three products and their quantities. Most carts have the first product.
    fn random_lines(&mut self) -> Vec<Line> {
        let count = *[1, 1, 1, 2, 3].choose(&mut self.random).expect("not empty");
        let mut names = PRODUCTS.into_iter().sample(&mut self.random, count);
        if self.random.random_bool(0.5) && !names.contains(&PRODUCTS[0]) {
            names[0] = PRODUCTS[0];
        }
        let line = |name: &str| (name.to_owned(), self.random.random_range(1..=3));
        names.into_iter().map(line).collect()
    }

    fn random_transfer(&mut self) -> Request {
        let from = self.random.random_range(1..=ACCOUNTS);
        let to = (from + self.random.random_range(0..ACCOUNTS - 1)) % ACCOUNTS + 1;
        Request::Transfer {
            token: Uuid::now_v7().as_u128(),
            from,
            to,
        }
    }

    /// Keeps what later requests act on.
    fn keep(&mut self, request: Request, answer: &Answer) {
        if matches!(answer, Answer::Refused(_)) {
            return;
        }
        match request {
            Request::Checkout {
                order,
                lines,
                reservation,
            } => {
                self.reservations.retain(|(id, _)| Some(*id) != reservation);
                self.orders.push((order, lines));
            }
            Request::Reserve { reservation, lines } => self.reservations.push((reservation, lines)),
            _ => {}
        }
        for kept in [&mut self.orders, &mut self.reservations] {
            if kept.len() > KEPT {
                kept.remove(0);
            }
        }
    }
}

/// Sends a request and tells the supervisor.
pub(super) async fn send_noted(
    shop: &Shop,
    journal: &Journal,
    request: &Request,
    patience: Option<Duration>,
) -> Answer {
    let call = journal.begin(request.clone());
    let answer = send(shop, request, patience).await;
    journal.end(call, answer.clone());
    answer
}

fn new_order() -> Id {
    OrderId::new().uuid().as_u128()
}

//! Reservations, and checkouts from them.

use std::time::Duration;

use optilock::inventory::{ErrorKind, Inventory, Reserve};
use rand::{RngExt, seq::IteratorRandom};

use super::{
    super::own::{Doubt, HoldsAre, OwnReservation},
    Buyer, Outcome, assert_kind, assert_poisoned, patiently,
};
use crate::support::goods::{sku, units};

impl Buyer {
    pub(super) async fn reserve(&mut self) {
        self.begin("reserve");
        let (customer, lines) = (self.random_customer(), self.random_lines());
        let (key, refused) = self.random_key();
        let requested = lines.iter().map(|(name, count)| (sku(name), units(*count)));
        let request = Reserve::new(requested).unwrap().with_customer(customer);
        let request = request.with_idempotency_key(key);
        let mut own = OwnReservation {
            id: request.reservation_id(),
            holds: HoldsAre::Live,
            customer,
            lines,
            doubt: Doubt::None,
        };
        let twice = self.random.random_bool(0.05);
        let (shop, other) = (self.shop.clone(), self.other.clone());
        let second = request.clone();
        let sent = async {
            if twice {
                let both = tokio::join!(shop.reserve(request), other.reserve(second));
                vec![both.0, both.1]
            } else {
                vec![shop.reserve(request).await]
            }
        };
        let Some(answers) = patiently(self.patience(), sent).await else {
            own.doubt = Doubt::Existence;
            self.reservations.push(own);
            return;
        };
        match self.sort_all("reserve", answers) {
            Outcome::Done(answer) => {
                assert!(!refused, "{answer:?}");
                assert_eq!(answer.id, own.id);
                let held: i64 = answer.holds.iter().map(|hold| hold.held).sum();
                assert_eq!(held, own.lines.iter().map(|(_, count)| count).sum::<i64>());
                self.reservations.push(own);
            }
            Outcome::Refused(error) if error.kind() == ErrorKind::InsufficientStock => {}
            Outcome::Refused(error) => assert_poisoned(&error, refused),
            Outcome::Busy => {}
            Outcome::Unknown => {
                own.doubt = Doubt::Existence;
                self.reservations.push(own);
            }
        }
    }

    pub(super) async fn extend(&mut self) {
        let Some(at) = self.random_reservation(|_| true) else {
            return;
        };
        self.begin("extend");
        let own = self.reservations[at].clone();
        let by = Duration::from_secs(self.random.random_range(60..3_600));
        let answer = self.shop.extend(own.id, by).await;
        let live = own.holds == HoldsAre::Live;
        match self.sort("extend", answer) {
            Outcome::Done(answer) => assert!(live && answer.is_live(), "{answer:?}"),
            Outcome::Refused(error) => {
                assert!(!live, "{error:?}");
                assert_kind(&error, ErrorKind::ReservationClosed);
            }
            // Only the time of the holds is in doubt, which is not compared.
            Outcome::Busy | Outcome::Unknown => {}
        }
    }

    pub(super) async fn release(&mut self) {
        let Some(at) = self.random_reservation(|_| true) else {
            return;
        };
        self.begin("release");
        let answer = self.shop.release(self.reservations[at].id).await;
        let own = &mut self.reservations[at];
        let live = own.holds == HoldsAre::Live;
        if live && answer.is_ok() {
            own.holds = HoldsAre::Released;
        }
        match self.sort("release", answer) {
            Outcome::Unknown if live => self.reservations[at].doubt = Doubt::Change,
            Outcome::Refused(error) => panic!("{error:?}"),
            Outcome::Done(()) | Outcome::Busy | Outcome::Unknown => {}
        }
    }

    /// Buys exactly what a reservation holds: live holds are honoured, whatever is sold besides.
    pub(super) async fn buy_reserved(&mut self) {
        let Some(at) = self.random_reservation(|_| true) else {
            return;
        };
        self.begin("checkout from a reservation");
        let own = self.reservations[at].clone();
        let (key, refused) = self.random_key();
        let cart = Self::cart(&own.lines, own.customer, key).with_reservation(own.id);
        let live = own.holds == HoldsAre::Live;
        match self.send(cart, &own.lines).await {
            Some(Outcome::Done(_)) => {
                assert!(
                    live && !refused,
                    "{own:?} is sold again, or with a refused key"
                );
                self.reservations[at].holds = HoldsAre::Consumed;
            }
            None | Some(Outcome::Unknown) => self.reservations[at].doubt = Doubt::Change,
            Some(Outcome::Refused(error)) if !live => {
                assert_kind(&error, ErrorKind::ReservationClosed);
            }
            Some(Outcome::Refused(error)) => assert_poisoned(&error, refused),
            Some(Outcome::Busy) => {}
        }
    }

    /// Chooses a reservation without doubt, mostly one that is live.
    fn random_reservation(&mut self, suits: impl Fn(&OwnReservation) -> bool) -> Option<usize> {
        let closed = self.random.random_bool(0.05);
        let reservations = self.reservations.iter().enumerate();
        let suitable = reservations.filter(|(_, own)| {
            own.doubt == Doubt::None && (closed || own.holds == HoldsAre::Live) && suits(own)
        });
        suitable.map(|(at, _)| at).choose(&mut self.random)
    }
}

//! Every order of events in the life of a reservation, explored by stateright on the code that judges and repeats its
//! operations: `Reserve::judge` and `replay`, `Reservation::admit` and `closed`, `Checkout::judge` and `replay`, the
//! judgements after a statement without an effect, and `Call` with what it says of the next attempt.
//!
//! Callers in different processes reserve, extend, release, buy from the reservation and without it, and clean up.
//! Only the model has the network, which loses answers and delivers statements late or never; time; and the server,
//! whose statements exist in the crate only as SQL. The order in which a caller reads and sends is written again in
//! the model too.

mod caller;
mod life;
mod model;
mod promises;
mod server;
mod statement;

use std::{collections::BTreeSet, time::Instant};

use stateright::{Checker, HasDiscoveries, Model};

use self::{
    life::{Life, Operation},
    promises::{examples, promises},
    server::Fault,
};
use crate::inventory::model::{Checkout, Line, Quantity, Reserve, Sku};

/// A life in which the reservation does not exist, or exists with these units.
fn life(callers: &[Operation], reserved: Option<i64>, losses: u8) -> Life {
    let sku = Sku::new("pot").expect("a valid SKU");
    let units = Quantity::new(reserved.unwrap_or(1)).expect("units");
    let reserve = Reserve::new([(sku.clone(), units)]).expect("a request");
    let unit = || Checkout::new([Line::new(sku.clone(), Quantity::ONE)]).expect("a cart");
    let held = || unit().with_reservation(reserve.id);
    Life {
        callers: callers.to_vec(),
        requests: vec![held(), held(), unit()],
        reserve,
        is_reserved: reserved.is_some(),
        stock: 1 + reserved.unwrap_or(0),
        deliveries: 1,
        other_expires_at: if reserved.is_some() { 2 } else { 1 },
        end: 2,
        attempts: 2,
        losses,
        fault: None,
    }
}

fn scenarios() -> Vec<Life> {
    use Operation::{Checkout, CleanUp, Extend, Release, Reserve};

    vec![
        life(&[Reserve, Reserve, Extend], None, 1),
        life(&[Reserve, Checkout(0), CleanUp], None, 2),
        life(&[Reserve, Release, Checkout(2)], None, 1),
        life(&[Checkout(0), Checkout(0), Checkout(2)], Some(1), 1),
        life(&[Checkout(0), Checkout(1), Release], Some(2), 1),
        life(&[Checkout(0), CleanUp, CleanUp], Some(1), 2),
        life(&[Extend, Release, CleanUp, Checkout(0)], Some(1), 1),
    ]
}

#[test]
fn every_order_of_events_keeps_the_promises() {
    let (mut sum, mut missing) = (0, BTreeSet::new());
    missing.extend(examples().iter().map(|example| example.name));
    for life in scenarios() {
        let began = Instant::now();
        let checker = life.checker().threads(2).spawn_bfs().join();
        let states = checker.unique_state_count();
        let time = began.elapsed();
        println!("{states} states, {time:?}: {:?}", checker.model().callers);
        for promise in promises() {
            checker.assert_no_discovery(promise.name);
        }
        for found in checker.discoveries().keys() {
            missing.remove(found);
        }
        sum += states;
    }
    println!("{sum} states");
    assert_eq!(missing, BTreeSet::new());
    assert!(sum > 100_000, "{sum}");
}

/// Plants the fault in each scenario, until one finds it.
fn finds(fault: Fault, property: &'static str) {
    let mut found = scenarios().into_iter().map(|mut life| {
        life.fault = Some(fault);
        let wanted = HasDiscoveries::AnyOf([property].into());
        let checker = life.checker().threads(2).finish_when(wanted);
        checker.spawn_bfs().join().discovery(property).is_some()
    });
    assert!(found.any(|found| found), "{fault:?}");
}

#[test]
fn an_expiry_of_what_has_ended_is_found() {
    finds(
        Fault::ExpiresWhatHasEnded,
        "units are sold or given back, once",
    );
}

#[test]
fn a_sale_of_an_expired_hold_without_stock_is_found() {
    finds(
        Fault::SellsExpiredHolds,
        "the units that are reserved are held",
    );
}

#[test]
fn a_sale_of_what_was_used_up_is_found() {
    finds(Fault::SellsUsedUpReservations, "what has ended is not sold");
}

#[test]
fn a_release_that_does_not_look_is_found() {
    finds(
        Fault::RefusesWhatIsReleased,
        "a refused request has no effect, now or later",
    );
}

#[test]
fn a_reserve_under_another_id_is_found() {
    finds(Fault::ReservesUnderAnotherId, "a request has one effect");
}

//! Every order of events of a small queue, explored by stateright on the machine itself.

mod model;
mod surroundings;

use stateright::{Checker, Expectation, Model};

use super::Limits;
use model::{Explored, Fault};

const LIMITS: Limits = Limits {
    batch: 2,
    lines: 9,
    queue: 9,
    connections: 4,
    attempts: 2,
    follow: usize::MAX,
    always: false,
    beside: true,
};

/// What cannot happen with one connection.
const NEED_TWO: [&str; 2] = ["two batches run", "a request is parked"];

/// Explores all states. Returns the names of the properties that do not hold, and the number of states.
fn explore(explored: Explored) -> (Vec<&'static str>, usize) {
    let checker = explored.checker().threads(2).spawn_bfs().join();
    let found = checker.discoveries();
    let properties = checker.model().properties();
    let broken = properties.into_iter().filter(|property| {
        // What must happen sometimes is broken if no example was found.
        let wanted = property.expectation == Expectation::Sometimes;
        found.contains_key(property.name) != wanted
    });
    let broken = broken.map(|property| property.name).collect();
    (broken, checker.unique_state_count())
}

fn of(connections: usize, requests: usize, disturbances: u8) -> Explored {
    let limits = Limits {
        connections,
        ..LIMITS
    };
    Explored {
        limits,
        requests,
        disturbances,
        fault: None,
    }
}

#[test]
fn every_order_of_events_keeps_the_promises() {
    const NEVER: usize = usize::MAX;
    let mut sum = 0;
    for (connections, always, requests, disturbances, follow) in [
        (4, true, 3, 0, NEVER),
        (4, true, 3, 0, 1),
        (4, false, 3, 1, NEVER),
        (2, false, 3, 1, NEVER),
        (1, false, 3, 2, NEVER),
    ] {
        let mut explored = of(connections, requests, disturbances);
        explored.limits.always = always;
        explored.limits.follow = follow;
        let (broken, states) = explore(explored);
        println!(
            "{states} states of {requests} requests, {connections} connections, {disturbances} disturbances"
        );
        // Two batches, and requests that wait for one of them, need two connections.
        let broken = broken.into_iter();
        let broken = broken.filter(|name| connections > 1 || !NEED_TWO.contains(name));
        assert_eq!(broken.collect::<Vec<_>>(), [""; 0]);
        sum += states;
    }
    println!("{sum} states");
    assert!(sum > 100_000, "{sum}");
}

/// Explores the queue with a planted fault, which has to break this property.
fn finds(fault: Fault, property: &str) {
    let explored = Explored {
        fault: Some(fault),
        ..of(4, 3, 1)
    };
    let (broken, _) = explore(explored);
    assert!(broken.contains(&property), "{broken:?}");
}

#[test]
fn a_lost_wake_up_is_found() {
    finds(Fault::LostWakeUp, "what may start is started");
}

#[test]
fn an_answer_given_twice_is_found() {
    finds(Fault::AnsweredTwice, "no request is answered twice");
}

#[test]
fn a_shutdown_that_leaves_a_request_is_found() {
    finds(Fault::EarlyShutdown, "a shutdown waits for every request");
}

#[test]
fn a_worker_that_is_not_restarted_is_found() {
    finds(Fault::NoOtherWorker, "queued requests have a worker");
}

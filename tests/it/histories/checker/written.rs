//! Written histories, also of anomalies that PostgreSQL does not have.

use crate::histories::{
    effects::Effects,
    history::{Event, History, Lists, Outcome, Step, append, read},
    level::Level,
};

use Level::{ReadCommitted, Serializable, SnapshotIsolation, StrictSerializable};

fn done(steps: Vec<Step>) -> (Vec<Step>, Outcome) {
    (steps.clone(), Outcome::Done(steps))
}

fn refused(steps: Vec<Step>) -> (Vec<Step>, Outcome) {
    (steps, Outcome::Refused)
}

fn unknown(steps: Vec<Step>) -> (Vec<Step>, Outcome) {
    (steps, Outcome::Unknown)
}

/// Asserts that the history has this anomaly at `level`, and none at the level below it.
#[track_caller]
fn assert_first_at(level: Level, below: Option<Level>, anomaly: &str, history: &History) {
    if let Some(below) = below {
        below.assert_holds(history);
    }
    let found = level.anomalies_of(history);
    assert!(found.iter().any(|it| it == anomaly), "{anomaly}: {found:?}");
}

#[test]
fn a_clean_history_passes() {
    let mut history = History::default();
    for (process, element) in ["1", "2", "3"].into_iter().enumerate() {
        let steps = vec![append("x", element), append("y", element)];
        let number = history.begin(process, steps.clone());
        history.end(number, Outcome::Done(steps));
    }
    let lists = ["x", "y"].map(|key| (key.to_owned(), ["1", "2", "3"].map(str::to_owned).to_vec()));
    let lists = Lists::from(lists);
    history.finish(&lists);
    StrictSerializable.assert_holds(&history);
    assert_eq!(Effects::of(&history, &lists).unwrap().done, 4);
}

#[test]
fn an_aborted_read_is_found() {
    let history = History::concurrent([
        refused(vec![append("x", "1")]),
        done(vec![read("x", &["1"])]),
        done(vec![append("x", "2")]),
    ]);
    assert_first_at(ReadCommitted, None, "G1a", &history);
}

#[test]
fn an_intermediate_read_is_found() {
    let history = History::concurrent([
        done(vec![append("x", "1"), append("x", "2")]),
        done(vec![read("x", &["1"])]),
        done(vec![read("x", &["1", "2"])]),
    ]);
    assert_first_at(ReadCommitted, None, "G1b", &history);
}

#[test]
fn a_cyclic_information_flow_is_found() {
    let history = History::concurrent([
        done(vec![append("x", "1"), read("y", &["2"])]),
        done(vec![append("y", "2"), read("x", &["1"])]),
    ]);
    assert_first_at(ReadCommitted, None, "G1c", &history);
}

#[test]
fn a_dirty_write_is_found() {
    let history = History::concurrent([
        done(vec![append("x", "1"), append("y", "1")]),
        done(vec![append("x", "2"), append("y", "2")]),
        done(vec![read("x", &["1", "2"]), read("y", &["2", "1"])]),
    ]);
    assert_first_at(ReadCommitted, None, "G0", &history);
}

#[test]
fn reads_that_no_order_explains_are_found() {
    let history = History::concurrent([
        done(vec![append("x", "1")]),
        done(vec![append("x", "2")]),
        done(vec![read("x", &["1"])]),
        done(vec![read("x", &["2"])]),
    ]);
    assert_first_at(ReadCommitted, None, "incompatible-order", &history);
    let twice = History::concurrent([
        done(vec![append("x", "1")]),
        done(vec![read("x", &["1", "1"])]),
    ]);
    assert_first_at(ReadCommitted, None, "duplicate-elements", &twice);
}

#[test]
fn a_lost_update_is_found() {
    let history = History::concurrent([
        done(vec![read("x", &[]), append("x", "1")]),
        done(vec![read("x", &[]), append("x", "2")]),
        done(vec![read("x", &["1", "2"])]),
    ]);
    assert_first_at(
        SnapshotIsolation,
        Some(ReadCommitted),
        "lost-update",
        &history,
    );
}

/// Also if its answer was lost: it appended nothing that the first one had not read.
#[test]
fn a_lost_update_of_an_unknown_transaction_is_found() {
    let history = History::concurrent([
        done(vec![read("x", &[]), read("y", &["2"]), append("x", "1")]),
        unknown(vec![append("x", "2"), append("y", "2")]),
        done(vec![read("x", &["2", "1"])]),
    ]);
    assert_first_at(
        SnapshotIsolation,
        Some(ReadCommitted),
        "G-single-item",
        &history,
    );
}

#[test]
fn a_read_skew_is_found() {
    let history = History::concurrent([
        done(vec![append("x", "1"), append("y", "1")]),
        done(vec![read("x", &[]), read("y", &["1"])]),
        done(vec![read("x", &["1"])]),
    ]);
    assert_first_at(
        SnapshotIsolation,
        Some(ReadCommitted),
        "G-single-item",
        &history,
    );
}

#[test]
fn a_write_skew_is_found() {
    let history = History::concurrent([
        done(vec![read("x", &[]), append("y", "1")]),
        done(vec![read("y", &[]), append("x", "2")]),
        done(vec![read("x", &["2"]), read("y", &["1"])]),
    ]);
    assert_first_at(Serializable, Some(SnapshotIsolation), "G2-item", &history);
}

/// The second transaction begins after the end of the first one and does not see it.
#[test]
fn a_stale_read_is_found() {
    let mut history = History::concurrent([done(vec![append("x", "1")])]);
    let stale = history.begin(1, vec![]);
    history.end(stale, Outcome::Done(vec![read("x", &[])]));
    history.finish(&Lists::from([("x".to_owned(), vec!["1".to_owned()])]));
    assert_first_at(
        StrictSerializable,
        Some(Serializable),
        "G-single-item-realtime",
        &history,
    );
}

#[test]
fn an_unknown_transaction_may_have_taken_effect_or_not() {
    for stored in [&["1", "2"][..], &["1"]] {
        let mut history = History::concurrent([
            done(vec![read("x", &[]), append("x", "1")]),
            unknown(vec![append("x", "2"), append("y", "2")]),
        ]);
        let lists = Lists::from([
            (
                "x".to_owned(),
                stored.iter().map(ToString::to_string).collect(),
            ),
            (
                "y".to_owned(),
                stored[1..].iter().map(ToString::to_string).collect(),
            ),
        ]);
        history.finish(&lists);
        StrictSerializable.assert_holds(&history);
        let effects = Effects::of(&history, &lists).unwrap();
        assert_eq!(
            (effects.unknown, effects.took_effect),
            (1, stored.len() - 1)
        );
    }
    let partly = History::concurrent([
        unknown(vec![append("x", "1"), append("y", "1")]),
        done(vec![read("x", &["1"]), read("y", &[])]),
    ]);
    assert_first_at(
        SnapshotIsolation,
        Some(ReadCommitted),
        "G-single-item",
        &partly,
    );
}

/// The comparison of outcomes and stored lists finds what the checker does not ask.
#[test]
fn effects_that_contradict_the_outcomes_are_found() {
    let history = History::concurrent([
        done(vec![append("x", "done")]),
        refused(vec![append("x", "refused")]),
        unknown(vec![append("x", "unknown"), append("y", "unknown")]),
    ]);
    for (x, y, difference) in [
        (&["done"][..], &[][..], None),
        (&["unknown", "done"], &["unknown"], None),
        (&[], &[], Some("is not stored")),
        (&["done", "refused"], &[], Some("is stored")),
        (&["done", "done"], &[], Some("is stored 2 times")),
        (&["done", "unknown"], &[], Some("is not stored")),
        (&["done", "other"], &[], Some("no transaction appended")),
    ] {
        let list = |list: &[&str]| list.iter().map(ToString::to_string).collect();
        let lists = Lists::from([("x".to_owned(), list(x)), ("y".to_owned(), list(y))]);
        match (Effects::of(&history, &lists), difference) {
            (Ok(_), None) => {}
            (Err(found), Some(difference)) => assert!(found[0].contains(difference), "{found:?}"),
            (found, _) => panic!("{lists:?}: {found:?}"),
        }
    }
}

/// A history is recorded in the order in which transactions begin and end.
#[test]
fn a_history_keeps_the_order_of_its_events() {
    let history = History::concurrent([done(vec![append("x", "1")]), refused(vec![])]);
    let expected = [
        Event::Begin(0),
        Event::Begin(1),
        Event::End(0),
        Event::End(1),
    ];
    assert_eq!(history.events, expected);
}

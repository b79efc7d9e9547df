//! The verdicts of the checker and of a search through every serial order, on small random histories.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use crate::histories::{
    history::{Event, History, Key, Lists, Outcome, Seen, Step, append},
    level::{Level, dependencies},
};

const KEYS: [&str; 2] = ["x", "y"];

/// Both give the same verdict on every history, and every kind of verdict is among them.
#[test]
fn the_checker_agrees_with_a_search_through_all_orders() {
    let mut random = StdRng::seed_from_u64(15);
    let mut verdicts: BTreeMap<(bool, bool), u32> = BTreeMap::new();
    for number in 0..1_500 {
        let history = random_history(&mut random);
        if dependencies(&history) == 0 {
            continue; // the checker reaches no verdict
        }
        let serializable = Level::Serializable.anomalies_of(&history).is_empty();
        let strictly = Level::StrictSerializable.anomalies_of(&history).is_empty();
        let expected = (has_order(&history, false), has_order(&history, true));
        assert_eq!((serializable, strictly), expected, "{number}: {history:#?}");
        *verdicts.entry(expected).or_default() += 1;
    }
    println!("serializable, strictly so: {verdicts:?}");
    let enough =
        [(false, false), (true, false), (true, true)].map(|verdict| verdicts[&verdict] > 50);
    assert_eq!(enough, [true; 3], "{verdicts:?}");
}

/// Returns a history of a serial execution of overlapping transactions, some of whose reads were replaced.
fn random_history(random: &mut StdRng) -> History {
    let mut history = History::default();
    let mut lists: Lists = KEYS.map(|key| (key.to_owned(), Vec::new())).into();
    let mut open: Vec<(usize, Vec<Step>, Outcome)> = Vec::new();
    for process in 0..random.random_range(2..5) {
        let before = lists.clone();
        let steps = random_steps(random, process, &mut lists);
        let requested = steps.iter().filter(|step| matches!(step, Step::Append(..)));
        let requested = requested.cloned().collect();
        let outcome = match random.random_range(0..10) {
            0 => Outcome::Refused,
            1 | 2 => Outcome::Unknown,
            _ => Outcome::Done(steps.clone()),
        };
        if outcome == Outcome::Refused || outcome == Outcome::Unknown && random.random() {
            lists = before;
        }
        open.push((history.begin(process, requested), steps, outcome));
        if random.random() {
            let (number, _, outcome) = open.remove(random.random_range(0..open.len()));
            history.end(number, outcome);
        }
    }
    for (number, _, outcome) in open {
        history.end(number, outcome);
    }
    history.finish(&lists);
    for _ in 0..random.random_range(0..3) {
        replace_read(random, &mut history, &lists);
    }
    history
}

fn random_steps(random: &mut StdRng, process: usize, lists: &mut Lists) -> Vec<Step> {
    let mut steps = Vec::new();
    for number in 0..random.random_range(1..4) {
        let key = *KEYS.choose(random).expect("not empty");
        let list = lists.get_mut(key).expect("every key has a list");
        if random.random() {
            steps.push(Step::Read(key.to_owned(), Seen::List(list.clone())));
        } else {
            let element = format!("{process}.{number}");
            list.push(element.clone());
            steps.push(append(key, element));
        }
    }
    steps
}

/// Lets one read return another number of elements.
fn replace_read(random: &mut StdRng, history: &mut History, lists: &Lists) {
    let number = random.random_range(0..history.transactions.len());
    let Outcome::Done(steps) = &mut history.transactions[number].outcome else {
        return;
    };
    let reads = steps.iter_mut().filter_map(|step| match step {
        Step::Read(key, seen) => Some((key, seen)),
        Step::Append(..) => None,
    });
    let mut reads: Vec<_> = reads.collect();
    if reads.is_empty() {
        return;
    }
    let (key, seen) = reads.swap_remove(random.random_range(0..reads.len()));
    let list = &lists[key];
    *seen = Seen::List(list[..random.random_range(0..=list.len())].to_vec());
}

/// Returns whether an order of all acknowledged and some of the unknown transactions explains every read. In a
/// `strict` order, a transaction precedes those that began after its end.
fn has_order(history: &History, strict: bool) -> bool {
    let left = (0..history.transactions.len()).filter(|&it| is_possible(history, it));
    Search { history, strict }.place(&left.collect::<Vec<_>>(), &BTreeMap::new())
}

fn is_possible(history: &History, number: usize) -> bool {
    history.transactions[number].outcome != Outcome::Refused
}

struct Search<'h> {
    history: &'h History,
    strict: bool,
}

impl Search<'_> {
    /// Tries each transaction that is left as the next one.
    fn place(&self, left: &[usize], lists: &BTreeMap<Key, Vec<String>>) -> bool {
        let is_done =
            |number: usize| matches!(self.history.transactions[number].outcome, Outcome::Done(_));
        if !left.iter().any(|&number| is_done(number)) {
            return true;
        }
        left.iter().enumerate().any(|(at, &number)| {
            let mut rest = left.to_vec();
            rest.remove(at);
            let in_time = !self.strict
                || !rest
                    .iter()
                    .any(|&other| is_done(other) && self.precedes(other, number));
            let mut lists = lists.clone();
            in_time && self.execute(number, &mut lists) && self.place(&rest, &lists)
        })
    }

    fn precedes(&self, one: usize, other: usize) -> bool {
        let at = |event| self.history.events.iter().position(|it| *it == event);
        at(Event::End(one)) < at(Event::Begin(other))
    }

    /// Executes a transaction, and returns whether each read finds what it returned.
    fn execute(&self, number: usize, lists: &mut BTreeMap<Key, Vec<String>>) -> bool {
        let transaction = &self.history.transactions[number];
        let steps = match &transaction.outcome {
            Outcome::Done(steps) => steps,
            _ => &transaction.requested,
        };
        steps.iter().all(|step| match step {
            Step::Append(key, element) => {
                lists.entry(key.clone()).or_default().push(element.clone());
                true
            }
            Step::Read(key, Seen::List(seen)) => {
                lists.get(key).is_none_or(Vec::is_empty) && seen.is_empty()
                    || lists.get(key) == Some(seen)
            }
            Step::Read(..) => true,
        })
    }
}

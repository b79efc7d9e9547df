//! The metrics of a retry: what they cost, and which recorder receives them.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit, set_global_recorder, with_local_recorder,
};

use super::{
    costs::{allocations, ready},
    *,
};

/// A recorder that only counts.
#[derive(Clone, Default)]
struct Counting {
    conflicts: Arc<Sum>,
    attempts: Arc<Sum>,
}

#[derive(Default)]
struct Sum(AtomicU64);

impl Counting {
    /// Conflicts and attempts so far.
    fn counted(&self) -> (u64, u64) {
        (
            self.conflicts.0.load(Relaxed),
            self.attempts.0.load(Relaxed),
        )
    }
}

impl CounterFn for Sum {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Relaxed);
    }

    fn absolute(&self, _: u64) {
        panic!("the crate sets no counter to an absolute value")
    }
}

impl HistogramFn for Sum {
    fn record(&self, value: f64) {
        self.0.fetch_add(value as u64, Relaxed);
    }
}

impl Recorder for Counting {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        if !ours(key, "optilock_conflicts_total") {
            return Counter::noop();
        }
        Counter::from_arc(Arc::clone(&self.conflicts))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        if !ours(key, "optilock_attempts") {
            return Histogram::noop();
        }
        Histogram::from_arc(Arc::clone(&self.attempts))
    }
}

/// The global recorder also receives what other tests record meanwhile.
fn ours(key: &Key, name: &str) -> bool {
    key.name() == name && key.labels().any(|label| label.value() == "recorded")
}

const POLICY: RetryPolicy = PLAIN.with_base_delay(Duration::ZERO).with_label("recorded");

fn succeed() {
    let played = ready(with_retry(&POLICY, async |_| Ok::<_, Scripted>(1)));
    assert!(matches!(played, Ok(1)));
}

fn lose_once() {
    let once = async |attempt: Attempt| match attempt.number() {
        1 => Err(Scripted(CONFLICT)),
        number => Ok(number),
    };
    assert!(matches!(ready(with_retry(&POLICY, once)), Ok(2)));
}

/// A global recorder can't be removed, and other tests install theirs.
#[test]
fn success_does_not_allocate_and_each_recorder_receives_its_own_metrics() {
    let module = module_path!().split_once("::").unwrap().1;
    let test = format!("{module}::in_a_process_of_its_own");
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &test, "--ignored"])
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{output}");
    assert!(output.contains("1 passed"), "{output}");
}

/// Success allocated a label each time.
#[test]
#[ignore = "another test starts it in a process of its own"]
fn in_a_process_of_its_own() {
    // Without a recorder: the keys are created before one is installed.
    assert_eq!(allocations(succeed), 0);
    assert_eq!(allocations(lose_once), 0);

    let [first, second, global] = [(); 3].map(|()| Counting::default());
    with_local_recorder(&first, || {
        assert_eq!(allocations(succeed), 0);
        assert_eq!(allocations(lose_once), 0);
    });
    // Each ran twice: 1 attempt, and 2 with a conflict.
    assert_eq!(first.counted(), (2, 6));

    // A recorder of another thread, and a recorder inside another.
    std::thread::scope(|scope| {
        scope.spawn(|| with_local_recorder(&second, lose_once));
    });
    with_local_recorder(&first, || with_local_recorder(&second, succeed));
    assert_eq!(second.counted(), (1, 3));
    assert_eq!(first.counted(), (2, 6));

    // A recorder that is installed late.
    assert!(set_global_recorder(global.clone()).is_ok());
    assert_eq!(allocations(succeed), 0);
    assert_eq!(global.counted(), (0, 2));
    with_local_recorder(&second, succeed);
    assert_eq!(second.counted(), (1, 4));
    assert_eq!((first.counted(), global.counted()), ((2, 6), (0, 2)));
}

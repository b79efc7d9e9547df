//! The table of faults, and the loop that makes each of them happen.

mod network;
mod rows;
mod sessions;
mod settings;

use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use clap::builder::PossibleValuesParser;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{BoxError, options::Run, stage::Stage};
pub(crate) use settings::RESET;

/// Acts once. Returns the number of connections, statements, rows or processes that it met.
type Act = for<'a> fn(
    &'a Stage,
    &'a mut StdRng,
) -> Pin<Box<dyn Future<Output = Result<u64, BoxError>> + Send + 'a>>;

pub(crate) struct Fault {
    pub(crate) name: &'static str,
    /// What its number counts.
    pub(crate) unit: &'static str,
    /// The mean pause between two of them.
    every: Duration,
    act: Act,
}

macro_rules! faults {
    ($($name:literal every $ms:literal ms, $unit:literal: $act:path;)*) => {
        &[$(Fault {
            name: $name,
            unit: $unit,
            every: Duration::from_millis($ms),
            act: |stage, random| Box::pin($act(stage, random)),
        },)*]
    };
}

pub(crate) const FAULTS: &[Fault] = faults! {
    "kill-backend" every 500 ms, "backends terminated": sessions::kill_backend;
    "cancel" every 700 ms, "statements cancelled": sessions::cancel;
    "crash" every 14_000 ms, "crashes of the postmaster, by SIGQUIT and SIGKILL": sessions::crash;
    "kill-client" every 6_000 ms, "client processes killed": sessions::kill_client;
    "stop-client" every 9_000 ms, "client processes stopped for up to 2 s": sessions::stop_client;
    "cut" every 500 ms, "messages or answers cut": network::cut;
    "cut-commit" every 700 ms, "COMMITs cut, before it or its answer": network::cut_commit;
    "silence" every 12_000 ms, "messages held for up to 3 s": network::silence;
    "delay" every 6_000 ms, "answers delayed by up to 100 ms": network::delay;
    "lock" every 1_500 ms, "rows locked for up to 2 s": rows::lock;
    "trigger" every 3_000 ms, "writes swallowed or refused by a trigger": rows::trigger;
    "policy" every 5_000 ms, "tables that policies made read-only": rows::policy;
    "schema" every 4_000 ms, "columns and indexes added and dropped": rows::schema;
    "isolation" every 6_000 ms, "changes of the role's isolation level": settings::isolation;
    "timeouts" every 6_000 ms, "changes of the role's timeouts": settings::timeouts;
    "logins" every 11_000 ms, "sessions ended while logins were refused": settings::logins;
    "read-only" every 9_000 ms, "sessions ended while new ones could not write": settings::read_only;
    "names" every 9_000 ms, "sessions ended while functions of the same names came first": settings::names;
};

/// Returns the names that the command line accepts.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(FAULTS.iter().map(|fault| fault.name))
}

/// How often a fault was due, and what it met.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acted {
    pub(crate) times: u64,
    pub(crate) failed: u64,
    pub(crate) met: u64,
    pub(crate) last_failure: Option<String>,
}

pub(crate) type Log = Arc<Mutex<BTreeMap<&'static str, Acted>>>;

/// Returns the faults that these options choose.
pub(crate) fn chosen(options: &Run) -> Vec<&'static Fault> {
    let named = |list: &[String], fault: &Fault| list.iter().any(|name| name == fault.name);
    FAULTS
        .iter()
        .filter(|fault| options.only.is_empty() || named(&options.only, fault))
        .filter(|fault| !named(&options.without, fault))
        .collect()
}

/// Runs the faults until the flag is set, each with its own sequence of random numbers from the seed.
pub(crate) async fn run(
    stage: Stage,
    (seed, options): (u64, &Run),
    log: &Log,
    ended: watch::Receiver<bool>,
) -> Result<(), BoxError> {
    let began = Instant::now();
    let mut loops = JoinSet::new();
    for fault in chosen(options) {
        let mut hasher = DefaultHasher::new();
        (seed, fault.name).hash(&mut hasher);
        let mut random = StdRng::seed_from_u64(hasher.finish());
        let (stage, log, mut ended) = (stage.clone(), Arc::clone(log), ended.clone());
        let verbose = options.verbose;
        loops.spawn(async move {
            loop {
                let pause = fault.every.mul_f64(random.random_range(0.2..1.8));
                tokio::select! {
                    () = sleep(pause) => {}
                    _ = ended.wait_for(|ended| *ended) => return,
                }
                let at = began.elapsed();
                let result = (fault.act)(&stage, &mut random).await;
                if verbose {
                    println!("  {:>8.3} s  {}: {result:?}", at.as_secs_f64(), fault.name);
                }
                let mut log = log.lock().expect("no panic");
                let acted = log.entry(fault.name).or_default();
                acted.times += 1;
                match result {
                    Ok(met) => acted.met += met,
                    // The server was down, or the rows were locked.
                    Err(error) => {
                        acted.failed += 1;
                        acted.last_failure = Some(error.to_string());
                    }
                }
            }
        });
    }
    while let Some(ended) = loops.join_next().await {
        ended?;
    }
    Ok(())
}

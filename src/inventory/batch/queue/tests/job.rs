use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use sqlx::postgres::PgPoolOptions;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::super::Queue;
use crate::{
    inventory::{
        batch::{
            connection::Connection,
            job::{Direct, Job, Keys, Verdict, Written},
            options::BatchOptions,
        },
        model::Error,
        postgres::PgInventory,
    },
    postgres::BoxFuture,
};

/// What a batch does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Do {
    Answer,
    /// The batch never ends.
    Hang,
    Panic,
    /// The lock is not obtained within half a second.
    Block,
    Bypass,
    /// It goes direct, and waits there until the test goes on.
    Wait,
}

/// How a request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    InBatch { size: usize },
    Directly { in_doubt: bool },
}

#[derive(Debug, Default)]
pub(super) struct Scripted {
    batches: Mutex<Vec<Vec<u64>>>,
    lost: AtomicUsize,
    direct: AtomicUsize,
    writing: AtomicUsize,
    go_on: Notify,
}

/// Counts what runs, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Scripted {
    pub(super) fn lost(&self) -> usize {
        self.lost.load(Relaxed)
    }

    pub(super) fn direct(&self) -> usize {
        self.direct.load(Relaxed)
    }

    pub(super) fn writing(&self) -> usize {
        self.writing.load(Relaxed)
    }

    pub(super) fn go_on(&self) {
        self.go_on.notify_one();
    }

    /// Returns the number of batches with this key.
    pub(super) fn batches_of(&self, key: u64) -> usize {
        let batches = self.batches.lock().unwrap();
        batches.iter().filter(|keys| keys.contains(&key)).count()
    }
}

impl Job for Scripted {
    type Request = (u64, Do);
    type Answer = Made;

    const LANE: &'static str = "test";

    fn keys(&self, (key, _): &(u64, Do)) -> Keys {
        [*key].into_iter().collect()
    }

    fn weight(&self, _request: &(u64, Do)) -> usize {
        1
    }

    fn write<'a>(
        &'a self,
        _conn: &'a mut Connection,
        batch: &'a [Arc<(u64, Do)>],
    ) -> BoxFuture<'a, Written<Made>> {
        Box::pin(async move {
            let _writing = Counted::new(&self.writing);
            let keys = batch.iter().map(|request| request.0);
            self.batches.lock().unwrap().push(keys.collect());
            let has = |what| batch.iter().any(|request| request.1 == what);
            if has(Do::Hang) {
                pending::<()>().await;
            }
            assert!(!has(Do::Panic), "the job panics");
            let blocked = has(Do::Block);
            if blocked {
                sleep(Duration::from_millis(500)).await;
            }
            let size = batch.len();
            let verdict = |request: &Arc<(u64, Do)>| match request.1 {
                _ if blocked => Verdict::Again,
                Do::Bypass | Do::Wait => Verdict::Bypass { in_doubt: false },
                _ => Verdict::Final(Ok(Made::InBatch { size })),
            };
            let verdicts = batch.iter().map(verdict).collect();
            Written { verdicts, blocked }
        })
    }

    fn direct<'a>(
        &'a self,
        request: &'a Arc<(u64, Do)>,
        how: Direct,
    ) -> BoxFuture<'a, Result<Made, Error>> {
        Box::pin(async move {
            let _direct = Counted::new(&self.direct);
            if request.1 == Do::Wait {
                self.go_on.notified().await;
            }
            let in_doubt = how.in_doubt;
            Ok(Made::Directly { in_doubt })
        })
    }

    fn lost(&self, _request: &(u64, Do)) {
        self.lost.fetch_add(1, Relaxed);
    }
}

/// Returns a queue of a pool of 32 connections, which are never used.
pub(super) fn queue(options: BatchOptions) -> Arc<Queue<Scripted>> {
    let pool = PgPoolOptions::new().max_connections(32);
    let pool = pool.connect_lazy("postgres://localhost:1/unreachable");
    let inventory = PgInventory::new(pool.unwrap());
    let job = Scripted::default();
    Arc::new(Queue::new(job, inventory.executor(), options, 2))
}

pub(super) fn submit(
    queue: &Arc<Queue<Scripted>>,
    key: u64,
    what: Do,
) -> JoinHandle<Result<Made, Error>> {
    let queue = Arc::clone(queue);
    tokio::spawn(async move { queue.submit(&Arc::new((key, what))).await })
}

/// Waits for a condition, for ten seconds at most.
pub(super) async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            sleep(Duration::from_millis(1)).await; // a paused clock goes on
        }
    };
    timeout(Duration::from_secs(10), wait).await.unwrap();
}

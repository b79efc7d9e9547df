//! Faults while a history is recorded: connections that are cut, backends that are killed, answers that are late.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use optilock::sqlx::{self, PgPool};
use rand::seq::SliceRandom;
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::recorder::Recorder;
use crate::support::{
    connect::pool_of,
    db::{Db, Default, assert_idle, pool_options},
    proxy::{Cut, Proxy},
};

/// How many transactions end between two faults. With more faults, hardly any transaction would succeed.
const BETWEEN: usize = 5;

/// The longest delay of an answer.
const DELAY: Duration = Duration::from_millis(3);

/// Connections of a pool whose backends are killed.
const CONNECTIONS: u32 = 8;

#[derive(Clone, Copy)]
enum Fault {
    Kill,
    CutBefore,
    CutReply,
    DeliverLate,
}

/// The faults of a round. Each round has its own random order, so that a short history has every kind.
const ROUND: [Fault; 5] = [
    Fault::Kill,
    Fault::CutBefore,
    Fault::CutReply,
    Fault::CutReply,
    Fault::DeliverLate,
];

/// The faults that happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub cut: u64,
    pub killed: u64,
    pub delayed: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} connections cut, {} backends killed, {} answers delayed",
            self.cut, self.killed, self.delayed
        )
    }
}

impl Counts {
    #[track_caller]
    pub fn assert_all_happened(self) {
        assert!(
            self.cut > 0 && self.killed > 0 && self.delayed > 0,
            "{self}"
        );
    }
}

/// A connection between processes and server that fails.
pub struct Faults {
    proxy: Arc<Proxy>,
    ended: Arc<AtomicBool>,
    injector: JoinHandle<Counts>,
}

impl Faults {
    /// Begins with faults: one after a few transactions of the recorder each.
    pub async fn start(db: &Db, recorder: &Arc<Recorder>) -> Self {
        let proxy = Arc::new(Proxy::new(db).await);
        proxy.delay_answers(DELAY);
        let ended = Arc::new(AtomicBool::new(false));
        let injector = Injector {
            proxy: Arc::clone(&proxy),
            recorder: Arc::clone(recorder),
            ended: Arc::clone(&ended),
            killer: pool_of(db, 1).await,
            counts: Counts::default(),
        };
        Self {
            proxy,
            ended,
            injector: tokio::spawn(injector.run()),
        }
    }

    /// Connects a pool whose connections fail.
    pub async fn pool(&self, default: Default) -> PgPool {
        let options = self.proxy.connect_options().application_name("victim");
        // Transactions of several rows deadlock: one second of waiting for each would be most of the test.
        let options = options.options([
            ("default_transaction_isolation", default.sql()),
            ("deadlock_timeout", "20ms"),
        ]);
        let pool = pool_options(CONNECTIONS).connect_with(options).await;
        pool.expect("a connection through the proxy")
    }

    /// Ends the faults, waits until no session has a statement or a transaction left, and returns what happened.
    pub async fn stop(self, db: &Db) -> Counts {
        self.ended.store(true, Relaxed);
        let mut counts = self.injector.await.expect("the injector ends");
        counts.delayed = self.proxy.delayed();
        self.proxy.delay_answers(Duration::ZERO);
        assert_idle(&db.pool).await;
        counts
    }
}

struct Injector {
    proxy: Arc<Proxy>,
    recorder: Arc<Recorder>,
    ended: Arc<AtomicBool>,
    killer: PgPool,
    counts: Counts,
}

impl Injector {
    async fn run(mut self) -> Counts {
        let mut next = BETWEEN;
        let mut round = Vec::new();
        while self.until(|it| it.recorder.ended() >= next).await {
            if round.is_empty() {
                round.extend(ROUND);
                round.shuffle(&mut rand::rng());
            }
            match round.pop().expect("a round has faults") {
                Fault::Kill => self.kill().await,
                Fault::CutBefore => _ = self.cut(Cut::Before).await,
                Fault::CutReply => _ = self.cut(Cut::Reply).await,
                Fault::DeliverLate => self.deliver_late().await,
            }
            next = self.recorder.ended() + BETWEEN;
        }
        self.killer.close().await;
        self.counts
    }

    /// Waits for a condition. Returns false if the faults end before.
    async fn until(&self, condition: impl Fn(&Self) -> bool) -> bool {
        while !self.ended.load(Relaxed) {
            if condition(self) {
                return true;
            }
            sleep(Duration::from_millis(1)).await;
        }
        false
    }

    /// Kills a backend, one that works if there is any.
    async fn kill(&mut self) {
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'victim'
            ORDER BY state = 'idle', random() LIMIT 1) victims";
        let killed: i64 = sqlx::query_scalar(kill)
            .fetch_one(&self.killer)
            .await
            .expect("a backend can be killed");
        self.counts.killed += killed.unsigned_abs();
    }

    /// Cuts a connection at its `COMMIT`, or at any message. Returns whether one was cut.
    async fn cut(&mut self, cut: Cut) -> bool {
        if rand::random_ratio(1, 3) {
            self.proxy.trap(b"COMMIT", cut);
        } else {
            self.proxy.trap_after(rand::random_range(0..8), cut);
        }
        // A load of statements that commit directly sends no COMMIT.
        let begun = self.recorder.ended();
        self.until(|it| !it.proxy.armed() || it.recorder.ended() >= begun + BETWEEN)
            .await;
        let was_cut = !self.proxy.disarm();
        self.counts.cut += u64::from(was_cut);
        was_cut
    }

    /// Cuts a connection, and delivers the message to the server a moment later.
    async fn deliver_late(&mut self) {
        let (release, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let late = Cut::Late(Arc::clone(&release), Arc::clone(&done));
        if self.cut(late).await {
            sleep(Duration::from_millis(rand::random_range(0..20))).await;
            release.notify_one();
            let delivered = timeout(Duration::from_secs(20), done.notified()).await;
            delivered.expect("the server acts on a late message");
        }
    }
}

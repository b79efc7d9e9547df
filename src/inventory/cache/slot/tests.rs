use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
};

use tokio::{
    sync::watch,
    task::{JoinSet, yield_now},
    time::advance,
};

use super::*;

const TTL: Duration = Duration::from_secs(30);

/// A product of an inventory that can fail and hang, and its viewers.
struct Fixture {
    slot: Slot,
    ttl: Duration,
    /// `None` if the inventory fails.
    stock: Mutex<Option<i64>>,
    hangs: watch::Sender<bool>,
    changes: AtomicU64,
    calls: AtomicU32,
}

impl Fixture {
    fn new() -> Arc<Self> {
        Self::with_ttl(TTL)
    }

    fn with_ttl(ttl: Duration) -> Arc<Self> {
        Arc::new(Self {
            slot: Slot::default(),
            ttl,
            stock: Mutex::new(Some(5)),
            hangs: watch::Sender::new(false),
            changes: AtomicU64::default(),
            calls: AtomicU32::default(),
        })
    }

    fn set(&self, stock: Option<i64>) {
        *self.stock.lock().unwrap() = stock;
    }

    async fn view(&self) -> Result<Seen, Error> {
        let ask = async {
            self.calls.fetch_add(1, SeqCst);
            let mut hangs = self.hangs.subscribe();
            hangs.wait_for(|hangs| !hangs).await.unwrap();
            let stock = *self.stock.lock().unwrap();
            let failure = || Error::from(sqlx::Error::PoolClosed);
            let paused = false;
            let left = stock.map(|available| Left { available, paused });
            left.map(Some).ok_or_else(failure)
        };
        let changes = || self.changes.load(SeqCst);
        self.slot.view(self.ttl, changes, ask).await
    }

    async fn shown(&self) -> Option<i64> {
        units(self.view().await)
    }

    /// Spawns viewers, and polls each once.
    async fn viewers(self: &Arc<Self>, count: u32) -> JoinSet<Result<Seen, Error>> {
        let mut viewers = JoinSet::new();
        for _ in 0..count {
            let fixture = Arc::clone(self);
            viewers.spawn(async move { fixture.view().await });
        }
        yield_now().await;
        viewers
    }

    fn calls(&self) -> u32 {
        self.calls.load(SeqCst)
    }
}

fn units(answer: Result<Seen, Error>) -> Option<i64> {
    answer.unwrap().left.map(|left| left.available)
}

fn retry_after(answer: Result<Seen, Error>) -> Duration {
    let error = answer.unwrap_err();
    let message = "the inventory is overloaded, or failed a moment ago";
    assert_eq!(error.to_string(), message);
    error.retry_after().expect("a busy error has a retry_after")
}

#[tokio::test(start_paused = true)]
async fn one_viewer_asks_and_the_others_wait_for_its_answer() {
    // Also with the shortest `ttl`.
    for ttl in [TTL, Duration::from_nanos(1)] {
        let fixture = Fixture::with_ttl(ttl);
        fixture.hangs.send_replace(true);
        let viewers = fixture.viewers(500).await;
        advance(Duration::from_secs(10)).await;
        fixture.hangs.send_replace(false);
        for answer in viewers.join_all().await {
            assert_eq!(units(answer), Some(5));
        }
        assert_eq!(fixture.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_remembered_for_a_moment() {
    let fixture = Fixture::new();
    fixture.set(None);
    for moment in 1..=3 {
        fixture.hangs.send_replace(true);
        let viewers = fixture.viewers(500).await;
        fixture.hangs.send_replace(false);
        let (asked, waited): (Vec<_>, Vec<_>) = viewers
            .join_all()
            .await
            .into_iter()
            .partition(|it| it.as_ref().is_err_and(|it| it.code() == "database"));
        assert_eq!((asked.len(), waited.len()), (1, 499));
        for answer in waited {
            assert_eq!(retry_after(answer), MOMENT);
        }
        advance(Duration::from_millis(400)).await;
        for answer in fixture.viewers(500).await.join_all().await {
            assert_eq!(retry_after(answer), Duration::from_millis(600));
        }
        assert_eq!(fixture.calls(), moment);
        advance(Duration::from_millis(600)).await;
    }
    fixture.set(Some(4));
    assert_eq!(fixture.shown().await, Some(4));
}

#[tokio::test(start_paused = true)]
async fn the_last_answer_is_shown_while_the_inventory_fails() {
    let fixture = Fixture::new();
    assert_eq!(fixture.shown().await, Some(5));
    fixture.set(None);
    advance(TTL).await;
    for seconds in 30..90 {
        for answer in fixture.viewers(50).await.join_all().await {
            let seen = answer.unwrap();
            let age = seen.asked.elapsed().as_secs();
            assert_eq!((units(Ok(seen)), age), (Some(5), seconds));
        }
        advance(MOMENT).await;
    }
    assert_eq!(fixture.calls(), 61);
    // Also for viewers that wait for a call that fails.
    fixture.hangs.send_replace(true);
    let viewers = fixture.viewers(50).await;
    fixture.hangs.send_replace(false);
    for answer in viewers.join_all().await {
        assert_eq!(units(answer), Some(5));
    }
    // A change makes the answer stale.
    fixture.changes.fetch_add(1, SeqCst);
    assert_eq!(retry_after(fixture.view().await), MOMENT);
    advance(MOMENT).await;
    assert_eq!(fixture.view().await.unwrap_err().code(), "database");
    fixture.set(Some(4));
    advance(MOMENT).await;
    assert_eq!(fixture.shown().await, Some(4));
}

#[tokio::test(start_paused = true)]
async fn when_the_inventory_is_slow_the_last_answer_is_shown() {
    let fixture = Fixture::new();
    assert_eq!(fixture.shown().await, Some(5));
    advance(TTL).await;
    fixture.hangs.send_replace(true);
    let mut viewers = fixture.viewers(50).await;
    advance(MOMENT).await;
    for _ in 1..50 {
        let seen = viewers.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(
            (units(Ok(seen)), seen.asked.elapsed()),
            (Some(5), TTL + MOMENT)
        );
    }
    fixture.set(Some(4));
    fixture.hangs.send_replace(false);
    let asked = viewers.join_next().await.unwrap().unwrap();
    assert_eq!(units(asked), Some(4));
    assert_eq!((fixture.shown().await, fixture.calls()), (Some(4), 2));
}

#[tokio::test(start_paused = true)]
async fn when_the_viewer_that_asks_is_dropped_the_next_one_asks() {
    let fixture = Fixture::new();
    fixture.hangs.send_replace(true);
    for calls in 1..=300 {
        let mut asks = fixture.viewers(1).await;
        assert_eq!(fixture.calls(), calls);
        asks.shutdown().await;
    }
    let mut asks = fixture.viewers(1).await;
    let viewers = fixture.viewers(500).await;
    assert_eq!(fixture.calls(), 301);
    asks.shutdown().await;
    yield_now().await;
    assert_eq!(fixture.calls(), 302);
    fixture.hangs.send_replace(false);
    for answer in viewers.join_all().await {
        assert_eq!(units(answer), Some(5));
    }
    assert_eq!(fixture.calls(), 302);
}

/// An answer to a call that was running during a change is not shown to viewers after the change.
#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_change_is_not_shown_after_it() {
    let fixture = Fixture::new();
    fixture.hangs.send_replace(true);
    let before = fixture.viewers(10).await;
    fixture.changes.fetch_add(1, SeqCst);
    let after = fixture.viewers(10).await;
    assert_eq!(fixture.calls(), 1);
    fixture.hangs.send_replace(false);
    before.join_all().await;
    after.join_all().await;
    assert_eq!(fixture.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_panic_the_next_viewer_asks() {
    let fixture = Fixture::new();
    let panics = Arc::clone(&fixture);
    let panics = tokio::spawn(async move {
        let ask = async { panic!("the inventory panics") };
        panics.slot.view(TTL, || 0, ask).await.map(drop)
    });
    assert!(panics.await.unwrap_err().is_panic());
    assert_eq!(fixture.shown().await, Some(5));
}

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
struct Shop {
    slot: Slot,
    ttl: Duration,
    /// `None`: it fails.
    stock: Mutex<Option<i64>>,
    hangs: watch::Sender<bool>,
    changes: AtomicU64,
    calls: AtomicU32,
}

impl Shop {
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

    /// `n` viewers, each as far as it gets.
    async fn crowd(self: &Arc<Self>, viewers: u32) -> JoinSet<Result<Seen, Error>> {
        let mut crowd = JoinSet::new();
        for _ in 0..viewers {
            let shop = Arc::clone(self);
            crowd.spawn(async move { shop.view().await });
        }
        yield_now().await;
        crowd
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
    error
        .retry_after()
        .expect("it is busy, and says when to come again")
}

#[tokio::test(start_paused = true)]
async fn one_viewer_asks_and_the_others_wait_for_its_answer() {
    // However short the time for which an answer is fresh.
    for ttl in [TTL, Duration::from_nanos(1)] {
        let shop = Shop::with_ttl(ttl);
        shop.hangs.send_replace(true);
        let crowd = shop.crowd(500).await;
        advance(Duration::from_secs(10)).await;
        shop.hangs.send_replace(false);
        for answer in crowd.join_all().await {
            assert_eq!(units(answer), Some(5));
        }
        assert_eq!(shop.calls(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_remembered_for_a_moment() {
    let shop = Shop::new();
    shop.set(None);
    for moment in 1..=3 {
        shop.hangs.send_replace(true);
        let crowd = shop.crowd(500).await;
        shop.hangs.send_replace(false);
        let (asked, waited): (Vec<_>, Vec<_>) = crowd
            .join_all()
            .await
            .into_iter()
            .partition(|it| it.as_ref().is_err_and(|it| it.code() == "database"));
        assert_eq!((asked.len(), waited.len()), (1, 499));
        for answer in waited {
            assert_eq!(retry_after(answer), MOMENT);
        }
        advance(Duration::from_millis(400)).await;
        for answer in shop.crowd(500).await.join_all().await {
            assert_eq!(retry_after(answer), Duration::from_millis(600));
        }
        assert_eq!(shop.calls(), moment);
        advance(Duration::from_millis(600)).await;
    }
    shop.set(Some(4));
    assert_eq!(shop.shown().await, Some(4));
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_last_is_shown_while_the_inventory_fails() {
    let shop = Shop::new();
    assert_eq!(shop.shown().await, Some(5));
    shop.set(None);
    advance(TTL).await;
    for seconds in 30..90 {
        for answer in shop.crowd(50).await.join_all().await {
            let seen = answer.unwrap();
            let age = seen.asked.elapsed().as_secs();
            assert_eq!((units(Ok(seen)), age), (Some(5), seconds));
        }
        advance(MOMENT).await;
    }
    assert_eq!(shop.calls(), 61);
    // Also to those who wait for one that fails.
    shop.hangs.send_replace(true);
    let crowd = shop.crowd(50).await;
    shop.hangs.send_replace(false);
    for answer in crowd.join_all().await {
        assert_eq!(units(answer), Some(5));
    }
    // A change makes it stale.
    shop.changes.fetch_add(1, SeqCst);
    assert_eq!(retry_after(shop.view().await), MOMENT);
    advance(MOMENT).await;
    assert_eq!(shop.view().await.unwrap_err().code(), "database");
    shop.set(Some(4));
    advance(MOMENT).await;
    assert_eq!(shop.shown().await, Some(4));
}

#[tokio::test(start_paused = true)]
async fn when_the_inventory_is_slow_what_was_seen_last_is_shown() {
    let shop = Shop::new();
    assert_eq!(shop.shown().await, Some(5));
    advance(TTL).await;
    shop.hangs.send_replace(true);
    let mut crowd = shop.crowd(50).await;
    advance(MOMENT).await;
    for _ in 1..50 {
        let seen = crowd.join_next().await.unwrap().unwrap().unwrap();
        assert_eq!(
            (units(Ok(seen)), seen.asked.elapsed()),
            (Some(5), TTL + MOMENT)
        );
    }
    shop.set(Some(4));
    shop.hangs.send_replace(false);
    let asked = crowd.join_next().await.unwrap().unwrap();
    assert_eq!(units(asked), Some(4));
    assert_eq!((shop.shown().await, shop.calls()), (Some(4), 2));
}

#[tokio::test(start_paused = true)]
async fn when_the_viewer_that_asks_is_dropped_the_next_one_asks() {
    let shop = Shop::new();
    shop.hangs.send_replace(true);
    for calls in 1..=300 {
        let mut asks = shop.crowd(1).await;
        assert_eq!(shop.calls(), calls);
        asks.shutdown().await;
    }
    let mut asks = shop.crowd(1).await;
    let crowd = shop.crowd(500).await;
    assert_eq!(shop.calls(), 301);
    asks.shutdown().await;
    yield_now().await;
    assert_eq!(shop.calls(), 302);
    shop.hangs.send_replace(false);
    for answer in crowd.join_all().await {
        assert_eq!(units(answer), Some(5));
    }
    assert_eq!(shop.calls(), 302);
}

/// An answer that was on its way while something changed is not shown to those who came after the change.
#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_change_is_not_shown_after_it() {
    let shop = Shop::new();
    shop.hangs.send_replace(true);
    let before = shop.crowd(10).await;
    shop.changes.fetch_add(1, SeqCst);
    let after = shop.crowd(10).await;
    assert_eq!(shop.calls(), 1);
    shop.hangs.send_replace(false);
    before.join_all().await;
    after.join_all().await;
    assert_eq!(shop.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn with_a_panic_nobody_hangs() {
    let shop = Shop::new();
    let panics = Arc::clone(&shop);
    let panics = tokio::spawn(async move {
        let ask = async { panic!("the inventory panics") };
        panics.slot.view(TTL, || 0, ask).await.map(drop)
    });
    assert!(panics.await.unwrap_err().is_panic());
    assert_eq!(shop.shown().await, Some(5));
}

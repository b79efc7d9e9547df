//! The events and spans of a retry, and their levels.

use std::{
    error::Error,
    fmt::{Debug, Write},
    iter::successors,
    sync::{Arc, LazyLock, Mutex},
};
use tokio::time::Instant;
use tracing::{
    Dispatch, Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id},
    subscriber::{DefaultGuard, set_default},
};
use tracing_subscriber::{
    Registry,
    layer::{Context, Layer, SubscriberExt},
    registry,
};

use super::*;

/// The events of a target, each as its level and its fields.
#[derive(Clone)]
pub struct Events {
    target: &'static str,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Events {
    pub fn of(target: &'static str) -> Self {
        let lines = Arc::default();
        Self { target, lines }
    }

    /// Records the events of this thread until the guard is dropped.
    pub fn subscribe(&self) -> DefaultGuard {
        subscribe(self.clone())
    }

    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let sources: Vec<String> = successors(Some(value), |&error| error.source())
            .map(ToString::to_string)
            .collect();
        self.record_debug(field, &sources);
    }
}

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        if about.target() == self.target {
            let mut line = Line(about.level().to_string());
            event.record(&mut line);
            self.lines.lock().unwrap().push(line.0);
        }
    }
}

/// While there is a single subscriber, tracing caches for good whether the thread that first reaches an
/// event has a subscriber for it, and the threads of other tests have none. Two permanent subscribers
/// prevent that.
static OTHERS: LazyLock<[Dispatch; 2]> = LazyLock::new(|| [(); 2].map(|()| registry().into()));

fn subscribe(layer: impl Layer<Registry> + Send + Sync) -> DefaultGuard {
    LazyLock::force(&OTHERS);
    set_default(registry().with(layer))
}

async fn events(policy: RetryPolicy, script: &[Class]) -> Vec<String> {
    let recorded = Events::of("optilock::retry");
    let guard = recorded.subscribe();
    let _ = play(&policy.with_label("checkout"), script, Duration::ZERO).await;
    drop(guard);
    recorded.lines()
}

#[tokio::test(start_paused = true)]
async fn success_is_silent() {
    assert!(events(PLAIN, &[]).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_retry_is_events() {
    assert_eq!(
        events(PLAIN, &[CONFLICT, BUSY]).await,
        [
            "DEBUG message=retrying label=\"checkout\" attempt=1 class=conflict delay=0ns",
            "DEBUG message=retrying label=\"checkout\" attempt=2 class=busy delay=10ms",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn giving_up_is_a_warning() {
    let policy = PLAIN.with_max_attempts(3);
    assert_eq!(
        events(policy.clone(), &[CONFLICT; 3]).await.last().unwrap(),
        "WARN message=gave up label=\"checkout\" attempts=3 elapsed=10ms class=conflict reason=attempts exhausted",
    );
    let ends = |lines: Vec<String>, level: &str, reason: &str| {
        let last = lines.last().unwrap();
        assert!(last.starts_with(level) && last.ends_with(reason), "{last}");
    };
    ends(
        events(policy.clone().with_max_attempts(1), &[BUSY]).await,
        "WARN",
        "attempts exhausted",
    );
    ends(
        events(
            policy.clone(),
            &[Class::Busy {
                retry_after: Some(ms(9_999)),
            }],
        )
        .await,
        "WARN",
        "deadline reached",
    );
    ends(
        events(policy.clone(), &[Class::Unknown]).await,
        "WARN",
        "outcome unknown",
    );
    ends(
        events(policy.clone(), &[CONFLICT, Class::Permanent]).await,
        "WARN",
        "permanent failure",
    );
    ends(
        events(policy, &[Class::Permanent]).await,
        "DEBUG",
        "permanent failure",
    );
}

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

struct Span {
    began: Instant,
    text: String,
    entered: u32,
    lasted: Duration,
}

impl<S: Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let about = attributes.metadata();
        assert_eq!(about.target(), "optilock::retry");
        let mut line = Line(format!("{} {}", about.level(), about.name()));
        attributes.record(&mut line);
        self.0.lock().unwrap().push(Span {
            began: Instant::now(),
            text: line.0,
            entered: 0,
            lasted: Duration::MAX,
        });
    }

    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        self.0.lock().unwrap().last_mut().unwrap().entered += 1;
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        let mut spans = self.0.lock().unwrap();
        let last = spans.last_mut().unwrap();
        last.lasted = last.began.elapsed();
    }
}

/// A retry with a delay has a span. One without a delay has none.
#[tokio::test(start_paused = true)]
async fn a_delay_is_a_span() {
    let spans = Spans::default();
    let guard = subscribe(spans.clone());
    let policy = PLAIN.with_label("checkout");
    let script = [CONFLICT, BUSY, CONFLICT, Class::Permanent];
    let _ = play(&policy, &script, ms(100)).await;
    drop(guard);
    let spans = spans.0.lock().unwrap();
    let found: Vec<_> = spans
        .iter()
        .map(|span| (&*span.text, span.lasted))
        .collect();
    let expected = [
        (
            "DEBUG waiting label=\"checkout\" attempt=2 class=busy delay=10ms",
            ms(10),
        ),
        (
            "DEBUG waiting label=\"checkout\" attempt=3 class=conflict delay=20ms",
            ms(20),
        ),
    ];
    assert_eq!(found, expected);
    assert!(spans.iter().all(|span| span.entered >= 2), "polled inside");
}

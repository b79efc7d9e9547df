//! What is told about a retry, and how loudly.

use super::*;
use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry,
};

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl<S: Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let about = event.metadata();
        if about.target() == "optilock::retry" {
            let mut line = Line(about.level().to_string());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
    }
}

async fn told(policy: RetryPolicy, script: &[Class]) -> Vec<String> {
    let events = Events::default();
    let guard = tracing::subscriber::set_default(registry().with(events.clone()));
    let _ = play(&policy.with_label("checkout"), script, Duration::ZERO).await;
    drop(guard);
    events.0.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn success_is_silent() {
    assert!(told(PLAIN, &[]).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn each_retry_is_told() {
    assert_eq!(
        told(PLAIN, &[CONFLICT, BUSY]).await,
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
        told(policy.clone(), &[CONFLICT; 3]).await.last().unwrap(),
        "WARN message=gave up label=\"checkout\" attempts=3 elapsed=10ms class=conflict reason=attempts exhausted",
    );
    let ends = |lines: Vec<String>, level: &str, reason: &str| {
        let last = lines.last().unwrap();
        assert!(last.starts_with(level) && last.ends_with(reason), "{last}");
    };
    ends(
        told(policy.clone().with_max_attempts(1), &[BUSY]).await,
        "WARN",
        "attempts exhausted",
    );
    ends(
        told(policy.clone(), &[busy_for(9_999)]).await,
        "WARN",
        "deadline reached",
    );
    ends(
        told(policy.clone(), &[Class::Unknown]).await,
        "WARN",
        "outcome unknown",
    );
    ends(
        told(policy.clone(), &[CONFLICT, Class::Permanent]).await,
        "WARN",
        "permanent failure",
    );
    ends(
        told(policy, &[Class::Permanent]).await,
        "DEBUG",
        "permanent failure",
    );
}

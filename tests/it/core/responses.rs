//! The core's types in handlers of axum.

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderName, HeaderValue, Request, request::Parts},
    response::{IntoResponse, Response},
};
use optilock::{
    Class, Classify, Conflict, ETag, IfMatch, IfMatchRejection, RetryPolicy, Version, with_retry,
};
use serde_json::{Value, json};

use super::retry::events::Events;
use crate::support::responses::Answer;

fn version(number: i64) -> Version {
    Version::new(number).unwrap()
}

fn parts_of(tags: &[&[u8]]) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    for tag in tags {
        let name = HeaderName::from_static("if-match");
        parts
            .headers
            .append(name, HeaderValue::from_bytes(tag).unwrap());
    }
    parts
}

async fn required(tags: &[&[u8]]) -> Result<IfMatch, IfMatchRejection> {
    <IfMatch as FromRequestParts<()>>::from_request_parts(&mut parts_of(tags), &()).await
}

async fn optional(tags: &[&[u8]]) -> Result<Option<IfMatch>, IfMatchRejection> {
    <IfMatch as OptionalFromRequestParts<()>>::from_request_parts(&mut parts_of(tags), &()).await
}

#[tokio::test]
async fn the_extractor_reads_the_header() {
    let of = |numbers: &[i64]| IfMatch::Versions(numbers.iter().map(|it| version(*it)).collect());
    let headers: [(&[&[u8]], IfMatch); 4] = [
        (&[b"*"], IfMatch::Any),
        (&[b"\"5\""], of(&[5])),
        // Several headers are one list.
        (&[b"\"5\", W/\"6\"", b"\"7\""], of(&[5, 7])),
        // A tag of another program, with a byte that is not UTF-8.
        (&[b"\"\xe9\", \"8\""], of(&[8])),
    ];
    for (tags, expected) in headers {
        assert_eq!(required(tags).await.unwrap(), expected);
        assert_eq!(optional(tags).await.unwrap(), Some(expected));
    }
    assert_eq!(optional(&[]).await.unwrap(), None);
}

#[tokio::test]
async fn a_missing_header_and_an_invalid_one_are_refused() {
    let missing = required(&[]).await.unwrap_err();
    assert_eq!(missing, IfMatchRejection::Missing);
    Answer::of(missing)
        .await
        .bare_problem(428, "precondition-required");
    let invalid: [&[&[u8]]; 3] = [&[b"5"], &[b""], &[b"*", b"\"5\""]];
    for tags in invalid {
        let refused = [
            required(tags).await.unwrap_err(),
            optional(tags).await.unwrap_err(),
        ];
        for refused in refused {
            assert_eq!(
                (refused.http_status(), refused.code()),
                (400, "invalid-if-match")
            );
            let body = Answer::of(refused).await.problem(400, "invalid-if-match");
            let detail = body["detail"].as_str().unwrap();
            assert!(detail.starts_with("not an If-Match header"), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_version_is_the_tag_of_a_response() {
    let answer = Answer::of((ETag(version(i64::MAX)), "the row")).await;
    assert_eq!(answer.header("etag"), Some("\"9223372036854775807\""));
    assert_eq!((answer.status, &*answer.text), (200, "the row"));
}

#[tokio::test]
async fn a_failed_precondition_has_the_current_version() {
    let if_match: IfMatch = "\"5\", \"7\"".parse().unwrap();
    let failed = if_match.check(version(6)).unwrap_err();
    assert_eq!(failed.code(), "precondition-failed");
    let answer = Answer::of(failed).await;
    assert_eq!(answer.header("etag"), Some("\"6\""));
    let body = answer.problem(412, "precondition-failed");
    assert_eq!(
        (&body["current"], &body["named"]),
        (&json!(6), &json!([5, 7]))
    );
    assert_eq!(body["title"], "Precondition Failed");
}

#[tokio::test]
async fn a_conflict_has_its_facts() {
    // The client chose the id.
    let id = "a\"b\\c\n\u{1}é";
    let conflict = Conflict::new("product", id, version(5), version(6));
    let detail = conflict.to_string();
    let body = Answer::of(conflict).await.problem(409, "conflict");
    let expected = json!({
        "type": "about:blank", "title": "Conflict", "status": 409, "detail": detail, "code": "conflict",
        "entity": "product", "id": id, "expected": 5, "actual": 6
    });
    assert_eq!(body, expected);
}

/// An error of a host.
#[derive(Debug, thiserror::Error)]
#[error("the password of db-7 is hunter2")]
struct Refused(Class);

impl Classify for Refused {
    fn class(&self) -> Class {
        self.0
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        "the host's own".into_response()
    }
}

#[tokio::test]
async fn a_retry_that_gave_up_keeps_an_unknown_outcome() {
    let policy = RetryPolicy::new().with_max_attempts(1);
    for class in [Class::Permanent, Class::Conflict, Class::Unknown] {
        let gave_up = with_retry(&policy, async |_| Err::<(), _>(Refused(class))).await;
        let recorded = Events::of("optilock::http");
        let guard = recorded.subscribe();
        let answer = Answer::of(gave_up.unwrap_err()).await;
        drop(guard);
        if class != Class::Unknown {
            assert_eq!(answer.text, "the host's own");
            assert_eq!(recorded.lines(), [""; 0]);
            continue;
        }
        answer.bare_problem(503, "unknown-outcome");
        assert_eq!(answer.header("retry-after"), None);
        assert!(!answer.text.contains("hunter2"), "{answer:?}");
        let lines = recorded.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with("ERROR message=a request failed code=\"unknown-outcome\""));
        assert!(lines[0].contains("hunter2"), "{lines:?}");
    }
}

/// The page's example of a body is what a client receives.
#[tokio::test]
async fn the_guide_shows_a_real_body() {
    let page = include_str!("../../../src/guide/axum.md");
    let shown = page.split("```json\n").nth(1).unwrap().split("```").next();
    let shown: Value = serde_json::from_str(shown.unwrap()).unwrap();
    let if_match: IfMatch = "\"1\"".parse().unwrap();
    let failed = if_match.check(version(2)).unwrap_err();
    assert_eq!(Answer::of(failed).await.json(), shown);
}

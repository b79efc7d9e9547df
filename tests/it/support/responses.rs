//! Responses of axum, and what every problem of the crate has.

use axum::{body::to_bytes, http::HeaderMap, response::IntoResponse};
use serde_json::Value;

/// A response that was read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub async fn of(response: impl IntoResponse) -> Self {
        let (head, body) = response.into_response().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Self {
            status: head.status.as_u16(),
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// Asserts the form of a problem. Returns its members.
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!(
            (self.status, &body["code"]),
            (status, &code.into()),
            "{self:?}"
        );
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(
            (&body["type"], &body["status"]),
            (&"about:blank".into(), &status.into())
        );
        for text in ["title", "detail"] {
            assert_ne!(body[text].as_str().unwrap(), "", "{self:?}");
        }
        body
    }

    /// The same of a problem without facts.
    pub fn bare_problem(&self, status: u16, code: &str) {
        let body = self.problem(status, code);
        assert_eq!(body.as_object().unwrap().len(), 5, "{self:?}");
    }
}

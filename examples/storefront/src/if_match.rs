//! The header `If-Match` of a request for a cart.

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::request::Parts,
};
use optilock::{IfMatch, Version};

use crate::problem::Problem;

/// The versions of the cart that the client accepts; `None` without the header.
#[derive(Debug)]
pub(crate) struct CartVersions(pub(crate) Option<IfMatch>);

impl CartVersions {
    /// Returns the versions that the client names, which are none without the header and for `*`.
    pub(crate) fn named(&self) -> &[Version] {
        match &self.0 {
            Some(IfMatch::Versions(versions)) => versions,
            Some(IfMatch::Any) | None => &[],
        }
    }

    /// Returns whether the client accepts this version.
    pub(crate) fn accept(&self, version: Version) -> bool {
        let tags = self.0.as_ref();
        tags.is_none_or(|tags| tags.check(version).is_ok())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CartVersions {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let tags = <IfMatch as OptionalFromRequestParts<S>>::from_request_parts(parts, state);
        let wrong = |_| Problem::invalid("If-Match: the ETag of the cart that you have read");
        tags.await.map(Self).map_err(wrong)
    }
}

//! Extractors of the user that sent a request.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use crate::{problem::Problem, shop::Shop, users::User};

/// Proves that an admin sent the request.
#[derive(Debug)]
pub(crate) struct Admin;

/// Returns the bearer token of a request.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Reads the bearer token.
impl FromRequestParts<Shop> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, Problem> {
        let user = token(&parts.headers).and_then(|token| shop.users.by_token(token));
        let user = user.ok_or_else(Problem::unauthorized)?;
        Ok(user.clone())
    }
}

impl FromRequestParts<Shop> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, Problem> {
        match User::from_request_parts(parts, shop).await? {
            user if user.admin => Ok(Self),
            _ => Err(Problem::forbidden()),
        }
    }
}

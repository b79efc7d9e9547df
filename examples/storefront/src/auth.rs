//! Extractors of the user that sent a request.

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};

use crate::{problem::Problem, shop::Shop, users::User};

/// Proves that an admin sent the request.
#[derive(Debug)]
pub(crate) struct Admin;

/// Reads the bearer token, and counts the request against the user's rate limit.
impl FromRequestParts<Shop> for User {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self, Problem> {
        let header = parts.headers.get(header::AUTHORIZATION);
        let header = header.and_then(|value| value.to_str().ok());
        let (scheme, token) = header
            .and_then(|header| header.split_once(' '))
            .ok_or_else(Problem::unauthorized)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Problem::unauthorized());
        }
        let user = shop.users.by_token(token.trim());
        let user = user.ok_or_else(Problem::unauthorized)?;
        shop.limits.check(&user.name)?;
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

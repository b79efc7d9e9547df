//! Who is asking. A shop of yours asks its identity provider; here the tokens are known to everybody.

use std::collections::HashMap;

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{header, request::Parts},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Shop, problem::Problem};

/// Somebody with a token.
#[derive(Clone, Debug)]
pub struct User {
    pub name: String,
    pub admin: bool,
}

/// Somebody who runs the shop.
#[derive(Debug)]
pub struct Admin;

/// By the digests of their tokens: what is looked up is nothing that a client can choose byte by byte.
#[derive(Debug)]
pub struct Users(HashMap<[u8; 32], User>);

const SHOPPERS: [(&str, &str); 2] = [("Ana", "demo-ana"), ("Luis", "demo-luis")];
const ADMIN: (&str, &str) = ("Admin", "demo-admin");

/// Shoppers of the load test, `demo-load-1` to this.
const CROWD: u32 = 5_000;

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl Users {
    pub fn demo() -> Self {
        let mut users = HashMap::new();
        let mut add = |name: &str, token: &str, admin| {
            let name = name.to_lowercase();
            users.insert(digest(token), User { name, admin });
        };
        for (name, token) in SHOPPERS {
            add(name, token, false);
        }
        add(ADMIN.0, ADMIN.1, true);
        for number in 1..=CROWD {
            add(
                &format!("load-{number}"),
                &format!("demo-load-{number}"),
                false,
            );
        }
        Self(users)
    }

    fn of(&self, token: &str) -> Option<&User> {
        let digest = digest(token);
        let (known, user) = self.0.get_key_value(&digest)?;
        bool::from(known.ct_eq(&digest)).then_some(user)
    }
}

/// With a limit of how much one of them may ask for.
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
        let user = shop
            .users
            .of(token.trim())
            .ok_or_else(Problem::unauthorized)?;
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

#[derive(Serialize)]
pub struct DemoUser {
    name: &'static str,
    token: &'static str,
    admin: bool,
}

/// Only a demo tells everybody's token.
pub async fn demo(State(_): State<Shop>) -> Json<Vec<DemoUser>> {
    let as_demo = |(name, token), admin| DemoUser { name, token, admin };
    let mut users: Vec<_> = SHOPPERS.into_iter().map(|it| as_demo(it, false)).collect();
    users.push(as_demo(ADMIN, true));
    Json(users)
}

//! The users and their tokens. A shop in production asks its identity provider; the tokens here are public.

use std::collections::HashMap;

use axum::Json;
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A user with a token.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) admin: bool,
}

/// The users by the SHA-256 of their tokens: a client cannot choose the key of a look-up byte by byte.
#[derive(Debug)]
pub(crate) struct Users(HashMap<[u8; 32], User>);

const SHOPPERS: [(&str, &str); 2] = [("Ana", "demo-ana"), ("Luis", "demo-luis")];
const ADMIN: (&str, &str) = ("Admin", "demo-admin");

/// Number of shoppers of the load test: `demo-load-1` to `demo-load-5000`.
const LOAD_SHOPPERS: u32 = 5_000;

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

impl Users {
    pub(crate) fn demo() -> Self {
        let mut users = HashMap::new();
        let mut add = |name: &str, token: &str, admin| {
            let name = name.to_lowercase();
            users.insert(digest(token), User { name, admin });
        };
        for (name, token) in SHOPPERS {
            add(name, token, false);
        }
        add(ADMIN.0, ADMIN.1, true);
        for number in 1..=LOAD_SHOPPERS {
            let name = format!("load-{number}");
            add(&name, &format!("demo-{name}"), false);
        }
        Self(users)
    }

    pub(crate) fn by_token(&self, token: &str) -> Option<&User> {
        let digest = digest(token);
        let (known, user) = self.0.get_key_value(&digest)?;
        bool::from(known.ct_eq(&digest)).then_some(user)
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct DemoUser {
    name: &'static str,
    token: &'static str,
    admin: bool,
}

/// Lists the users with their tokens, which only a demo may do.
pub(crate) async fn demo() -> Json<Vec<DemoUser>> {
    let user = |(name, token), admin| DemoUser { name, token, admin };
    let mut users: Vec<_> = SHOPPERS.into_iter().map(|it| user(it, false)).collect();
    users.push(user(ADMIN, true));
    Json(users)
}

//! The rate limits: of each user, and of each address whose requests name no user.

use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::HeaderMap,
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

use crate::{auth, problem::Problem, shop::Shop};

/// Requests per second of one user.
const OF_A_USER: NonZeroU32 = NonZeroU32::new(100).unwrap();

/// Requests per second of one address without a token, or with a wrong one. Behind one address can be an office.
const OF_AN_ADDRESS: NonZeroU32 = NonZeroU32::new(200).unwrap();

/// The rate limits. An IPv6 address counts as its network of 64 bits, which one client may have.
#[derive(Debug)]
pub(crate) struct Limits {
    users: DefaultKeyedRateLimiter<String>,
    addresses: DefaultKeyedRateLimiter<IpAddr>,
}

impl Limits {
    pub(crate) fn new() -> Self {
        Self {
            users: RateLimiter::keyed(Quota::per_second(OF_A_USER)),
            addresses: RateLimiter::keyed(Quota::per_second(OF_AN_ADDRESS)),
        }
    }

    /// Counts a request of the user.
    ///
    /// # Errors
    ///
    /// `too-many-requests`, with the time to wait.
    pub(crate) fn check_user(&self, user: &str) -> Result<(), Problem> {
        let now = DefaultClock::default().now();
        self.users
            .check_key(&user.to_owned())
            .map_err(|not_until| Problem::too_many_requests(not_until.wait_time_from(now)))
    }

    fn check_address(&self, address: IpAddr) -> Result<(), Problem> {
        let now = DefaultClock::default().now();
        self.addresses
            .check_key(&network(address))
            .map_err(|not_until| Problem::too_many_requests(not_until.wait_time_from(now)))
    }

    /// Forgets users and addresses without recent requests.
    pub(crate) fn clean_up(&self) {
        self.users.retain_recent();
        self.addresses.retain_recent();
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(network.into())
        }
        v4 => v4,
    }
}

/// Counts a request against its address if it names no user of the shop.
pub(crate) async fn limit_address(
    State(shop): State<Shop>,
    request: Request,
    next: Next,
) -> Response {
    let is_known =
        auth::token(request.headers()).is_some_and(|it| shop.users.by_token(it).is_some());
    let limited = match address(&shop, &request) {
        Some(address) if !is_known => shop.limits.check_address(address),
        _ => Ok(()),
    };
    match limited {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Returns the address of the client; `None` without a network, as in a test.
fn address(shop: &Shop, request: &Request) -> Option<IpAddr> {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()?
        .0
        .ip();
    let forwarded = shop
        .settings
        .behind_proxy
        .then(|| forwarded_for(request.headers()));
    Some(forwarded.flatten().unwrap_or(peer))
}

/// Returns the address that the nearest proxy has appended.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

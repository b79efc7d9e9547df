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
const OF_AN_ADDRESS: NonZeroU32 = NonZeroU32::new(300).unwrap();

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

    /// Counts a request of a user.
    ///
    /// # Errors
    ///
    /// `too-many-requests`, with the time to wait.
    fn check_user(&self, user: &str) -> Result<(), Problem> {
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

/// Counts a request against its user, or else against its address. Only the liveness of the process is not counted.
pub(crate) async fn limit(State(shop): State<Shop>, request: Request, next: Next) -> Response {
    let user = auth::token(request.headers()).and_then(|token| shop.users.by_token(token));
    let limited = match (user, address(&shop, &request)) {
        _ if request.uri().path() == "/healthz" => Ok(()),
        (Some(user), _) => shop.limits.check_user(&user.name),
        (None, Some(address)) => shop.limits.check_address(address),
        (None, None) => Ok(()),
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

//! What the operator of the shop can set.

use std::time::Duration;

/// The settings of the shop.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long an order awaits its payment before it is cancelled: 1 s or more.
    pub payment_time: Duration,
    /// The shop is behind a proxy that appends the client's address to `X-Forwarded-For`. Without such a proxy a
    /// client could invent its address.
    pub behind_proxy: bool,
}

/// 10 minutes for a payment, and no proxy.
impl Default for Settings {
    fn default() -> Self {
        Self {
            payment_time: Duration::from_secs(600),
            behind_proxy: false,
        }
    }
}

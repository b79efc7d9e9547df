//! The options of the command line.

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use storefront::Settings;

/// A small shop on the web.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Options {
    /// Address to listen at.
    #[arg(long, default_value = "127.0.0.1:3000", env = "STOREFRONT_ADDRESS")]
    pub(crate) address: SocketAddr,
    /// Connections to the database: about twice its cores, and a few for the clean-up.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub(crate) connections: u32,
    /// Seconds until an order that is not paid is cancelled.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    payment_seconds: u64,
    /// A proxy in front appends the client's address to X-Forwarded-For.
    #[arg(long)]
    behind_proxy: bool,
    /// Serve the demo at an address that others can reach, although it gives everybody the admin's token.
    #[arg(long)]
    demo: bool,
}

impl Options {
    pub(crate) const fn settings(&self) -> Settings {
        Settings {
            payment_time: Duration::from_secs(self.payment_seconds),
            behind_proxy: self.behind_proxy,
        }
    }

    /// Refuses an address that others can reach, unless the user says that they may use the demo's tokens.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.demo || self.address.ip().is_loopback() {
            return Ok(());
        }
        Err(format!(
            "{} can be reached by others, and /api/demo/users gives everybody the token of the admin: replace the \
             users of the demo, or add --demo to serve it all the same",
            self.address
        ))
    }
}

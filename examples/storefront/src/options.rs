//! The options of the command line.

use std::net::SocketAddr;

use clap::Parser;

/// A small shop on the web.
#[derive(Clone, Debug, Parser)]
pub(crate) struct Options {
    /// Address to listen at.
    #[arg(long, default_value = "127.0.0.1:3000", env = "STOREFRONT_ADDRESS")]
    pub(crate) address: SocketAddr,
    /// Connections to the database: about twice its cores, and a few for the clean-up.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=200))]
    pub(crate) connections: u32,
}

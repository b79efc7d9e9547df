//! Engines that speak PostgreSQL's protocol. Each needs a cluster that runs.

mod citus;

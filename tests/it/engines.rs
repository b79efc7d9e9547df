//! Engines that speak PostgreSQL's protocol. What needs a cluster or a linter is ignored.

mod citus;
mod dialects;

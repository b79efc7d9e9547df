//! Steps of an order that are sent again: at most one effect, and an answer that matches the order.

mod concurrent;
mod lost_answers;
mod products;
mod request;
mod suppressed;
mod versions;

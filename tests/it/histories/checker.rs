//! The checker itself: it finds each planted anomaly and no other, and it agrees with a search through every serial
//! order.

mod search;
mod stored;
mod written;

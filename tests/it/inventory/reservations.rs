//! Reservations under load and behind backlogs.

mod expired_holds;
mod storm;

//! Reservations under load and behind backlogs.

mod created_meanwhile;
mod expired_holds;
mod storm;
mod used_up;

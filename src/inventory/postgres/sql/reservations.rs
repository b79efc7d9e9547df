//! Statements of reservations and their holds.

super::statement::statements! {
    pub(crate) const RESERVE = "../reservations/reserve.sql";
    pub(crate) const RESERVATION = "../reservations/reservation.sql";
    pub(crate) const RESERVATION_KNOWN = "../reservations/known.sql";
    pub(crate) const EXTEND = "../reservations/extend.sql";
    pub(crate) const RELEASE = "../reservations/release.sql";
    pub(crate) const EXPIRE = "../reservations/expire.sql";
}

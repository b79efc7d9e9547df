use tokio::time::Instant;

use crate::{
    Class,
    inventory::model::{Error, ErrorKind},
    postgres::Failed,
};

/// What the attempts of one call pass on to each other.
#[derive(Debug)]
pub(crate) struct Call<S = ()> {
    /// What only this operation's attempts pass on.
    pub(crate) state: S,
    /// When the call began.
    pub(crate) since: Instant,
    /// An earlier attempt may have taken effect, or may still. Cleared by the attempt that settles it.
    pub(crate) in_doubt: bool,
    /// The next attempt reads first whether the change is stored: it may be, or a deadlock may come of making it
    /// without a look.
    pub(crate) look_first: bool,
    /// The database aborted an attempt: the session's isolation level may be one at which even a lock fails on a
    /// row that another transaction changed.
    pub(crate) serialized: bool,
    /// Attempts that lost a race.
    pub(crate) conflicts: u64,
}

impl<S> Call<S> {
    pub(crate) fn new(state: S) -> Self {
        Self {
            state,
            since: Instant::now(),
            in_doubt: false,
            look_first: false,
            serialized: false,
            conflicts: 0,
        }
    }

    /// An attempt may have taken effect.
    pub(crate) const fn doubt(&mut self) {
        (self.in_doubt, self.look_first) = (true, true);
    }

    /// A step was refused: where no such step begins, an attempt that is still on its way is refused like
    /// this one.
    pub(crate) fn refused(&mut self, error: &Error) {
        if matches!(
            error.kind(),
            ErrorKind::InvalidOrderState | ErrorKind::ReservationClosed | ErrorKind::NotFound
        ) {
            self.in_doubt = false;
        }
    }

    /// Takes in what a failed attempt means for the next one.
    pub(crate) fn note(&mut self, failed: &Failed<Error>) {
        match failed.class {
            Class::Unknown => self.doubt(),
            Class::Conflict => self.conflicts += 1,
            _ => {}
        }
        if failed.error.kind() == ErrorKind::Serialization {
            (self.serialized, self.look_first) = (true, true);
        }
    }
}

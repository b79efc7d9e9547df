use tokio::time::Instant;

use crate::{
    Class,
    inventory::model::{Error, ErrorKind},
    postgres::Failed,
};

/// The state that the attempts of one call share.
#[derive(Debug)]
pub(crate) struct Call<S = ()> {
    /// The part that belongs to the operation.
    pub(crate) state: S,
    /// The start of the call.
    pub(crate) since: Instant,
    /// An earlier attempt may have taken effect, or may still. Cleared by the attempt that settles it.
    pub(crate) in_doubt: bool,
    /// The answer may be a change that another attempt or call made.
    pub(crate) is_replay: bool,
    /// The next attempt first reads whether the change is stored: it may be, or making it without a look may
    /// deadlock.
    pub(crate) look_first: bool,
    /// The database aborted an attempt: the session's isolation level may be one at which even a locking read
    /// fails on a row that another transaction changed.
    pub(crate) serialized: bool,
    /// The number of attempts that lost a race.
    pub(crate) conflicts: u64,
}

impl<S> Call<S> {
    pub(crate) fn new(state: S) -> Self {
        Self {
            state,
            since: Instant::now(),
            in_doubt: false,
            is_replay: false,
            look_first: false,
            serialized: false,
            conflicts: 0,
        }
    }

    /// Records that an attempt may have taken effect.
    pub(crate) const fn doubt(&mut self) {
        (self.in_doubt, self.is_replay, self.look_first) = (true, true, true);
    }

    /// Returns whether a refusal has to be settled first, as an earlier attempt may still take effect. A busy answer is
    /// no refusal: the caller may send the same request again.
    pub(crate) fn must_settle(&self, refused: &Failed<Error>) -> bool {
        self.in_doubt && refused.class == Class::Permanent && !refused.error.is_busy()
    }

    /// Records that a step was refused: in a state in which the step does not begin, an attempt that is still
    /// running is refused as well.
    pub(crate) fn refused(&mut self, error: &Error) {
        if matches!(
            error.kind(),
            ErrorKind::InvalidOrderState
                | ErrorKind::ReservationClosed
                | ErrorKind::NotFound
                | ErrorKind::Archived
        ) {
            self.in_doubt = false;
        }
    }

    /// Records what a failed attempt means for the next one.
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

/// What an operation on versioned rows failed with: see [`Error::kind`](super::Error::kind).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The row is no longer at the caller's version: read again and decide again.
    Conflict,
    /// The database aborted the transaction in favour of another one. The current version is unknown: read
    /// again in a new transaction.
    Serialization,
    /// The row does not exist, or is hidden from this role.
    NotFound,
    /// A unique key of the table is taken, that of the id or another one.
    AlreadyExists,
    /// The row is at the expected version and was not written: a trigger returned `NULL`, or left the version
    /// as it was (by returning `OLD`, for instance), or a row-level policy hides the row from writers. Nothing
    /// is stored, and another attempt fails in the same way.
    Suppressed,
    /// A call for many rows has the same id twice, or two ids that are equal for the database. Nothing is
    /// stored.
    RepeatedId,
    /// A call for many rows has more rows than it takes. Nothing was sent.
    TooManyRows,
    /// An idempotency key was used before, by a request with another fingerprint. Nothing happened.
    IdempotencyMismatch,
    /// An argument is out of its range: an idempotency key, the name of a table, an age. Nothing was sent.
    Invalid,
    /// The row is at the largest number of the version's type, which no version follows.
    VersionExhausted,
    /// The table is not what `versioned_row!` says of it. A write whose id names several rows fails with this
    /// kind too; nothing is stored then.
    SchemaMismatch,
    /// The database was overloaded, away, or no longer takes writes. Nothing happened: try again later.
    Busy,
    /// The write may have taken effect, as the connection was lost or the written row could not be read: read the
    /// row before another attempt.
    Unknown,
    /// The database refused for a reason that another attempt meets again.
    Database,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: &'static [Self] = &[
        Self::Conflict,
        Self::Serialization,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Suppressed,
        Self::RepeatedId,
        Self::TooManyRows,
        Self::IdempotencyMismatch,
        Self::Invalid,
        Self::VersionExhausted,
        Self::SchemaMismatch,
        Self::Busy,
        Self::Unknown,
        Self::Database,
    ];

    /// Returns a stable name in kebab case, for clients and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Conflict | Self::Serialization => "conflict",
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::Suppressed => "suppressed",
            Self::RepeatedId => "repeated-id",
            Self::TooManyRows => "too-many-rows",
            Self::IdempotencyMismatch => "idempotency-mismatch",
            Self::Invalid => "invalid",
            Self::VersionExhausted => "version-exhausted",
            Self::SchemaMismatch => "schema-mismatch",
            Self::Busy => "busy",
            Self::Unknown => "unknown-outcome",
            Self::Database => "database",
        }
    }

    /// Returns the HTTP status (RFC 9110) with the same meaning for a client.
    ///
    /// | Status | Kind |
    /// |---|---|
    /// | 400 | `Invalid`, `RepeatedId`, `TooManyRows` |
    /// | 404 | `NotFound` |
    /// | 409 | `Conflict`, `Serialization`, `AlreadyExists` |
    /// | 422 | `IdempotencyMismatch` |
    /// | 503 | `Busy`, `Unknown` |
    /// | 500 | all others |
    ///
    /// A `Conflict` of a client that sent `If-Match` is 412 instead: see the
    /// [guide](crate::guide::http).
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Invalid | Self::RepeatedId | Self::TooManyRows => 400,
            Self::NotFound => 404,
            Self::Conflict | Self::Serialization | Self::AlreadyExists => 409,
            Self::IdempotencyMismatch => 422,
            Self::Busy | Self::Unknown => 503,
            Self::Suppressed | Self::VersionExhausted | Self::SchemaMismatch | Self::Database => {
                500
            }
        }
    }
}

//! The operations that are compared.

#[derive(Clone, Copy)]
pub(super) enum Operation {
    UpdateByHand,
    Update,
    ReadAndUpdateByHand,
    Modify,
    InsertBySqlx,
    InsertByTransact,
    ForUpdateByHand,
    RetriedUpdate,
    LockInTransact,
}

impl Operation {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::UpdateByHand => "UPDATE by hand",
            Self::Update => "update",
            Self::ReadAndUpdateByHand => "SELECT, UPDATE by hand",
            Self::Modify => "modify",
            Self::InsertBySqlx => "sqlx begin, commit",
            Self::InsertByTransact => "transact",
            Self::ForUpdateByHand => "SELECT FOR UPDATE by hand",
            Self::RetriedUpdate => "update in with_retry",
            Self::LockInTransact => "lock and update in transact",
        }
    }
}

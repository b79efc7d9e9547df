//! The groups of operations. Each group has a table, whose first operation is the reference of the ratios.

use super::operation::Operation;

pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) operations: &'static [Operation],
    pub(super) writers: u64,
    /// Writes by each writer in one turn.
    pub(super) writes: u64,
    /// Whether a commit waits for the disk.
    pub(super) durable: bool,
}

const UPDATE: &[Operation] = &[Operation::UpdateByHand, Operation::Update];
const MODIFY: &[Operation] = &[Operation::ReadAndUpdateByHand, Operation::Modify];
const INSERT: &[Operation] = &[Operation::InsertBySqlx, Operation::InsertByTransact];
const HOT: &[Operation] = &[
    Operation::ForUpdateByHand,
    Operation::Modify,
    Operation::LockInTransact,
    Operation::RetriedUpdate,
];

const fn group(
    title: &'static str,
    operations: &'static [Operation],
    writers: u64,
    writes: u64,
    durable: bool,
) -> Group {
    Group {
        title,
        operations,
        writers,
        writes,
        durable,
    }
}

pub(super) const GROUPS: [Group; 9] = [
    group("one writer: update", UPDATE, 1, 100, true),
    group(
        "one writer: update, not waiting for the disk",
        UPDATE,
        1,
        500,
        false,
    ),
    group("one writer: modify", MODIFY, 1, 100, true),
    group(
        "one writer: modify, not waiting for the disk",
        MODIFY,
        1,
        300,
        false,
    ),
    group(
        "one writer: a transaction of one insert",
        INSERT,
        1,
        100,
        true,
    ),
    group(
        "one writer: a transaction of one insert, not waiting for the disk",
        INSERT,
        1,
        300,
        false,
    ),
    group("one row, 2 writers", HOT, 2, 40, true),
    group("one row, 8 writers", HOT, 8, 20, true),
    group("one row, 32 writers", HOT, 32, 10, true),
];

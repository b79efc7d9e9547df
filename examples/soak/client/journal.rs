//! What a client process tells the supervisor, one line per event.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use crate::request::{Answer, Entry, Id, Request};

/// Writes to the standard output. A line that is written is read, also if the process is killed afterwards.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    calls: Arc<AtomicU64>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            calls: Arc::default(),
        }
    }

    /// Says that the request is about to be sent. Returns the number of the call.
    pub(super) fn begin(&self, request: Request) -> u64 {
        let call = self.calls.fetch_add(1, Relaxed);
        write(&Entry::Begun(call, request));
        call
    }

    pub(super) fn end(&self, call: u64, answer: Answer) {
        write(&Entry::Ended(call, answer));
    }

    pub(super) fn delivered(&self, orders: Vec<Id>) {
        write(&Entry::Delivered(orders));
    }
}

fn write(entry: &Entry) {
    let mut line = serde_json::to_vec(entry).expect("an entry is JSON");
    line.push(b'\n');
    let mut stdout = std::io::stdout().lock();
    // Without its supervisor the process ends soon, by its standard input.
    let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
}

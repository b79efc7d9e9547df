//! State that a proxy shares with its connections.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::sleep};

use super::Cut;

#[derive(Debug)]
pub struct Trap {
    pub needle: Vec<u8>,
    /// How many messages with the needle pass before the trap acts.
    pub passing: u32,
    pub cut: Cut,
}

#[derive(Debug, Default)]
pub struct Wire {
    pub trap: Mutex<Option<Trap>>,
    /// Messages of clients, by their type.
    pub executes: AtomicU64,
    pub queries: AtomicU64,
    pub parses: AtomicU64,
    /// Those of them without a name.
    pub unnamed: AtomicU64,
    /// How many more statements may pass; `u64::MAX` without a limit.
    pub allowed: AtomicU64,
    /// Notified when more may pass.
    pub more: Notify,
    /// Connections made so far, and how many of them are silenced.
    pub opened: AtomicU64,
    pub silent: AtomicU64,
    /// The longest delay of an answer in microseconds, and how many answers were delayed.
    pub delay: AtomicU64,
    pub delayed: AtomicU64,
}

impl Wire {
    /// Never returns if this connection is silenced.
    pub async fn wait_if_silent(&self, connection: u64) {
        if connection <= self.silent.load(SeqCst) {
            std::future::pending().await
        }
    }

    /// Delays one answer in eight, if answers are delayed.
    pub async fn delay_answer(&self) {
        let longest = self.delay.load(SeqCst);
        if longest > 0 && rand::random_ratio(1, 8) {
            self.delayed.fetch_add(1, SeqCst);
            sleep(Duration::from_micros(rand::random_range(0..=longest))).await;
        }
    }

    /// Counts a message. Waits for a higher limit if the message exceeds that of statements.
    pub async fn count(&self, message: &[u8]) {
        let kind = message[0];
        if kind == b'P' && message[5] == 0 {
            self.unnamed.fetch_add(1, SeqCst);
        }
        match kind {
            b'E' => _ = self.executes.fetch_add(1, SeqCst),
            b'Q' => _ = self.queries.fetch_add(1, SeqCst),
            b'P' => _ = self.parses.fetch_add(1, SeqCst),
            _ => {}
        }
        if matches!(kind, b'E' | b'Q' | b'P') {
            loop {
                let more = self.more.notified();
                let left = self.allowed.load(SeqCst);
                if left > 0 {
                    let left = if left == u64::MAX { left } else { left - 1 };
                    return self.allowed.store(left, SeqCst);
                }
                more.await;
            }
        }
    }

    /// Returns the cut for this message, and removes the trap, if the message is the one to cut at.
    pub fn cut_at(&self, message: &[u8]) -> Option<Cut> {
        let mut trap = self.trap.lock().unwrap();
        let Trap {
            needle, passing, ..
        } = trap.as_mut()?;
        let matches = matches!(message[0], b'B' | b'Q')
            && (needle.is_empty()
                || message
                    .windows(needle.len())
                    .any(|window| window == *needle));
        if !matches {
            return None;
        }
        if *passing > 0 {
            *passing -= 1;
            return None;
        }
        trap.take().map(|trap| trap.cut)
    }
}

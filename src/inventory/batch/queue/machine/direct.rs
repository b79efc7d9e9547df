//! Requests that their callers make.

use super::{
    Actions, Machine,
    event::{Action, Ticket},
    limits::Limits,
    requests::{Bypassing, Direct, share_a_key},
};
use crate::inventory::batch::job::Keys;

impl Machine {
    /// Returns whether a request that arrives goes direct: nothing is queued, and nothing that runs has one of
    /// its keys.
    pub(super) fn is_uncontended(&self, keys: &Keys) -> bool {
        let direct = self.direct.iter().filter(|direct| !direct.bypasses);
        !self.limits.always
            && self.depth() == 0
            && self.bypassing.is_empty()
            && direct.count() < self.limits.uncontended()
            && self.connections() < self.limits.shared()
            && !self.is_suspect(keys)
            && (self.limits.beside || self.running.is_empty())
            && !self.running.iter().any(|running| running.contends(keys))
            && !self
                .direct
                .iter()
                .any(|direct| share_a_key(keys.as_slice(), direct.keys.as_slice()))
    }

    /// Lets a request wait for a direct slot.
    pub(super) fn bypass(&mut self, ticket: Ticket, keys: Keys, in_doubt: bool) {
        self.bypassing.insert(ticket, Bypassing { keys, in_doubt });
    }

    /// Gives the free direct slots to waiting requests, in the order of arrival. A request whose keys have all of
    /// their slots taken does not stop those behind it.
    pub(super) fn grant(&mut self, out: &mut Actions) {
        let bypassing = self.direct.iter().filter(|direct| direct.bypasses);
        let mut slots = Limits::BYPASSING
            .saturating_sub(bypassing.count())
            .min(self.limits.shared().saturating_sub(self.connections()));
        let mut granted = Vec::new();
        for (&ticket, Bypassing { keys, in_doubt }) in &self.bypassing {
            if slots == 0 {
                break;
            }
            if self.has_slot(keys) {
                slots -= 1;
                granted.push(ticket);
                let (keys, in_doubt, bypasses) = (keys.clone(), *in_doubt, true);
                self.direct.push(Direct {
                    ticket,
                    keys,
                    bypasses,
                });
                out.push(Action::Grant { ticket, in_doubt });
            }
        }
        for ticket in granted {
            self.bypassing.remove(&ticket);
        }
    }

    /// Returns whether each of these keys has a free slot for a bypassing request.
    fn has_slot(&self, keys: &Keys) -> bool {
        keys.as_slice().iter().all(|key| {
            let of_key = self.direct.iter().filter(|direct| {
                direct.bypasses && direct.keys.as_slice().binary_search(key).is_ok()
            });
            of_key.count() < Limits::BYPASSING_OF_A_KEY
        })
    }

    pub(super) fn end_direct(&mut self, ticket: Ticket, out: &mut Actions) {
        let before = self.direct.len();
        self.direct.retain(|direct| direct.ticket != ticket);
        if self.direct.len() == before {
            return;
        }
        // With one connection, batches and direct requests alternate.
        let batch_first = self.limits.connections == 1 && !self.waiting.is_empty();
        if !batch_first {
            self.grant(out);
        }
        self.call_worker(out); // to wake it: a worker exists as long as requests wait
    }

    pub(super) fn is_suspect(&self, keys: &Keys) -> bool {
        !self.suspects.is_empty()
            && keys
                .as_slice()
                .iter()
                .any(|key| self.suspects.contains(key))
    }
}

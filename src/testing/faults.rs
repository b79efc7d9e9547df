//! The script of faults.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};
use tokio::time::sleep;

use super::fault::{Fault, Kind};

/// Which calls meet a fault, and which fault. Clones share one script.
///
/// Calls are counted from 1 for each operation, by its name. A fault for one call comes before that of
/// [`always`](Self::always), and both before one at random.
///
/// ```
/// use optilock::{inventory::Error, testing::{Fault, Faults}};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let faults = Faults::<Error>::new();
/// faults.at_call("save", 2, Fault::conflict());
/// assert!(faults.call("save", async { Ok(()) }).await.is_ok());
/// assert!(faults.call("save", async { Ok(()) }).await.unwrap_err().is_conflict());
/// assert!(faults.call("save", async { Ok(()) }).await.is_ok());
/// assert_eq!((faults.calls("save"), faults.met()), (3, 1));
/// # }
/// ```
pub struct Faults<E> {
    script: Arc<Mutex<Script<E>>>,
    /// The names of the operations, if they are known.
    operations: Option<&'static [&'static str]>,
}

struct Script<E> {
    at: HashMap<(&'static str, u32), Fault<E>>,
    always: HashMap<&'static str, Fault<E>>,
    random: Option<Random<E>>,
    calls: HashMap<&'static str, u32>,
    met: u32,
}

struct Random<E> {
    generator: Xoshiro256PlusPlus,
    one_in: u32,
    faults: Vec<Fault<E>>,
}

impl<E> Faults<E> {
    /// Creates a script without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::of(None)
    }

    /// Creates a script for these operations only.
    pub(super) fn of(operations: Option<&'static [&'static str]>) -> Self {
        let script = Script {
            at: HashMap::new(),
            always: HashMap::new(),
            random: None,
            calls: HashMap::new(),
            met: 0,
        };
        Self {
            script: Arc::new(Mutex::new(script)),
            operations,
        }
    }

    fn script(&self) -> MutexGuard<'_, Script<E>> {
        // Nothing that panics is done under this lock.
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, operation: &str) {
        if let Some(operations) = self.operations {
            assert!(
                operations.contains(&operation),
                "{operation} is no operation; these are: {}",
                operations.join(", ")
            );
        }
    }

    /// Sets the fault of the `number`-th call of an operation, counted from 1.
    ///
    /// # Panics
    ///
    /// If there is no operation of this name, or if this call has been made.
    #[expect(clippy::must_use_candidate, reason = "it is returned for a chain")]
    pub fn at_call(&self, operation: &'static str, number: u32, fault: Fault<E>) -> &Self {
        self.check(operation);
        let made = self.calls(operation);
        assert!(
            number > made,
            "call {number} of {operation} can't meet a fault: {made} were made"
        );
        self.script().at.insert((operation, number), fault);
        self
    }

    /// Sets the fault of all calls of an operation from now on, until [`clear`](Self::clear).
    ///
    /// # Panics
    ///
    /// If there is no operation of this name.
    #[expect(clippy::must_use_candidate, reason = "it is returned for a chain")]
    pub fn always(&self, operation: &'static str, fault: Fault<E>) -> &Self {
        self.check(operation);
        self.script().always.insert(operation, fault);
        self
    }

    /// Lets one in `one_in` calls of any operation meet one of these faults, at random. The same seed and the same
    /// order of calls give the same faults.
    ///
    /// # Panics
    ///
    /// If `one_in` is zero or there is no fault.
    pub fn at_random(
        &self,
        seed: u64,
        one_in: u32,
        faults: impl IntoIterator<Item = Fault<E>>,
    ) -> &Self {
        let faults: Vec<_> = faults.into_iter().collect();
        assert!(one_in > 0, "one in zero calls can't meet a fault");
        assert!(!faults.is_empty(), "there is no fault to choose from");
        self.script().random = Some(Random {
            generator: Xoshiro256PlusPlus::seed_from_u64(seed),
            one_in,
            faults,
        });
        self
    }

    /// Removes all faults. Calls are counted as before.
    pub fn clear(&self) {
        let mut script = self.script();
        script.at.clear();
        script.always.clear();
        script.random = None;
    }

    /// Returns how many calls of an operation were made, with and without a fault.
    ///
    /// # Panics
    ///
    /// If there is no operation of this name.
    #[must_use]
    pub fn calls(&self, operation: &'static str) -> u32 {
        self.check(operation);
        self.script().calls.get(operation).copied().unwrap_or(0)
    }

    /// Returns how many calls met a fault.
    #[must_use]
    pub fn met(&self) -> u32 {
        self.script().met
    }

    /// Makes a call of an operation, with the fault that the script has for it.
    ///
    /// # Errors
    ///
    /// The error of the fault, or that of the call.
    pub async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.next(operation).map(|fault| fault.0) {
            None => call.await,
            Some(Kind::Refused(error)) => Err(error()),
            Some(Kind::Done(error)) => {
                call.await?;
                Err(error())
            }
            Some(Kind::Delayed(by)) => {
                sleep(by).await;
                call.await
            }
        }
    }

    /// Counts a call and returns its fault.
    fn next(&self, operation: &'static str) -> Option<Fault<E>> {
        let mut script = self.script();
        let calls = script.calls.entry(operation).or_default();
        *calls = calls.saturating_add(1);
        let number = *calls;
        let at = script.at.remove(&(operation, number));
        // One number for each call, whatever else it meets: the faults of the others stay the same.
        let random = script.random.as_mut().and_then(Random::next);
        let fault = at
            .or_else(|| script.always.get(operation).cloned())
            .or(random);
        script.met = script.met.saturating_add(u32::from(fault.is_some()));
        fault
    }
}

impl<E> Random<E> {
    fn next(&mut self) -> Option<Fault<E>> {
        let number = self.generator.random_range(0..self.one_in);
        let chosen = self.generator.random_range(0..self.faults.len());
        (number == 0).then(|| self.faults[chosen].clone())
    }
}

impl<E> Clone for Faults<E> {
    fn clone(&self) -> Self {
        Self {
            script: Arc::clone(&self.script),
            operations: self.operations,
        }
    }
}

impl<E> Default for Faults<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for Faults<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = self.script();
        f.debug_struct("Faults")
            .field("at", &script.at)
            .field("always", &script.always)
            .field("calls", &script.calls)
            .field("met", &script.met)
            .finish_non_exhaustive()
    }
}

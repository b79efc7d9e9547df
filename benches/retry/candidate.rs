//! A candidate: one way of retrying an operation.

use tokio::runtime::Runtime;

use crate::recorder;

pub(crate) struct Candidate {
    pub(crate) name: &'static str,
    /// Calls in one measured block: many where a call takes nanoseconds, so that the overhead of the
    /// harness is small; few where a call sleeps.
    pub(crate) calls: u64,
    pub(crate) work: fn(&Runtime, u64) -> u64,
    /// Whether the counting recorder is installed during the calls.
    pub(crate) recorded: bool,
}

impl Candidate {
    pub(crate) const fn recorded(self) -> Self {
        Self {
            name: "optilock, counting recorder",
            recorded: true,
            ..self
        }
    }

    pub(crate) fn run(&self, runtime: &Runtime, calls: u64) -> u64 {
        if self.recorded {
            recorder::with_recorder(|| (self.work)(runtime, calls))
        } else {
            (self.work)(runtime, calls)
        }
    }
}

/// A candidate that is awaited inside a task.
macro_rules! awaited {
    ($name:literal, $calls:literal, |$input:pat_param| $call:expr) => {
        Candidate {
            name: $name,
            calls: $calls,
            recorded: false,
            work: |runtime, calls| {
                runtime.block_on(async move {
                    let mut sum = 0_u64;
                    for $input in 0..calls {
                        let result: Result<u64, _> = $call;
                        sum = sum.wrapping_add(black_box(result.unwrap()));
                    }
                    sum
                })
            },
        }
    };
}

/// A candidate that is polled once, without a task.
macro_rules! polled {
    ($name:literal, $calls:literal, |$input:pat_param| $future:expr) => {
        Candidate {
            name: $name,
            calls: $calls,
            recorded: false,
            work: |_, calls| {
                let mut context = Context::from_waker(Waker::noop());
                let mut sum = 0_u64;
                for $input in 0..calls {
                    let Poll::Ready(result) = pin!($future).poll(&mut context) else {
                        unreachable!("the operation never waits");
                    };
                    let result: Result<u64, _> = result;
                    sum = sum.wrapping_add(black_box(result.unwrap()));
                }
                sum
            },
        }
    };
}

pub(crate) use {awaited, polled};

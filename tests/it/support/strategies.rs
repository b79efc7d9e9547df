//! Every strategy of a checkout.

use optilock::inventory::Strategy;

pub const STRATEGIES: [Strategy; 3] = [
    Strategy::Guarded,
    Strategy::Optimistic,
    Strategy::Pessimistic,
];

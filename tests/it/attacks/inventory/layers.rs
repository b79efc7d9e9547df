//! The layers in front of a `PgInventory`, and which operations each of them changes.

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    None,
    Batched,
    Cached,
    /// A cache in front of batches.
    CachedBatched,
}

const BATCHED: [&str; 9] = [
    "checkout",
    "step",
    "mark_paid",
    "mark_payment_failed",
    "cancel",
    "return_items",
    "reserve",
    "extend",
    "release",
];

const CACHED: [&str; 15] = [
    "add_product",
    "retire_product",
    "pause",
    "resume",
    "adjust_stock",
    "count_stock",
    "checkout",
    "step",
    "cancel",
    "revive",
    "return_items",
    "cleanup_failed_orders",
    "reserve",
    "release",
    "cleanup_reservations",
];

/// The kinds of surroundings that a cache, which sends no statement for a change, can meet in its own code: lost
/// connections, dropped futures, runtimes, pools and repeated requests.
const OF_A_CACHE: [u32; 5] = [9, 13, 14, 15, 18];

/// Those in which a cache sees other answers of batches than of single requests.
const OF_CACHED_BATCHES: [u32; 3] = [9, 13, 18];

impl Layer {
    pub const ALL: [Self; 4] = [Self::None, Self::Batched, Self::Cached, Self::CachedBatched];

    pub const fn prefix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Batched => "batched: ",
            Self::Cached => "cached: ",
            Self::CachedBatched => "cached batches: ",
        }
    }

    pub const fn is_batched(self) -> bool {
        matches!(self, Self::Batched | Self::CachedBatched)
    }

    pub const fn is_cached(self) -> bool {
        matches!(self, Self::Cached | Self::CachedBatched)
    }

    /// Returns whether the layer does anything but forward this method.
    pub fn changes(self, method: &str) -> bool {
        match self {
            Self::None => true,
            Self::Batched => BATCHED.contains(&method),
            Self::Cached => CACHED.contains(&method),
            Self::CachedBatched => BATCHED.contains(&method) && CACHED.contains(&method),
        }
    }

    /// Returns why a cell of this layer runs the same code as one without the layer.
    pub fn same_code(self, method: &str, kind: u32) -> Option<&'static str> {
        if kind == 0 {
            return None;
        }
        if !self.changes(method) {
            return Some(
                "the layer forwards the call, or one of its two does (src/inventory/layer.rs)",
            );
        }
        let is_met = match self {
            Self::None | Self::Batched => true,
            Self::Cached => OF_A_CACHE.contains(&kind),
            Self::CachedBatched => OF_CACHED_BATCHES.contains(&kind),
        };
        (!is_met).then_some("the cache sends no statement of its own for the call")
    }
}

/// Returns the methods of the layer in this file, without the steps of orders, which are forwarded to `step`.
fn implemented(source: &str) -> Vec<&str> {
    let (_, layer) = source.split_once("Layer for ").expect("a layer");
    let methods = layer.split("    async fn ").skip(1);
    methods.filter_map(|rest| rest.split('(').next()).collect()
}

/// A method that a layer implements and that is not listed here, or the other way round, fails.
#[test]
fn the_layers_change_what_they_implement() {
    const BATCHES: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../src/inventory/batch.rs"
    ));
    const CACHE: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../src/inventory/cache/inventory.rs"
    ));
    let without_steps = |listed: &[&'static str]| -> Vec<&'static str> {
        let steps = ["mark_paid", "mark_payment_failed", "cancel", "revive"];
        let listed = listed.iter().filter(|method| !steps.contains(method));
        listed.copied().collect()
    };
    assert_eq!(implemented(BATCHES), without_steps(&BATCHED));
    assert_eq!(implemented(CACHE), without_steps(&CACHED));
}

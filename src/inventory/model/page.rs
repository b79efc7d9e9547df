/// A page of a sorted list: at most `limit` entries, those after `after`.
///
/// ```
/// use optilock::inventory::{Page, Sku};
///
/// let first = Page::<Sku>::first(50);
/// let next = Page::after(Sku::new("mug-7")?, 50);
/// # let _ = (first, next);
/// # Ok::<(), optilock::inventory::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<K> {
    /// The key of the last entry of the previous page; `None` for the first page.
    pub after: Option<K>,
    /// The most entries to return. A larger number than [`MAX_LIMIT`](Self::MAX_LIMIT) counts as that.
    pub limit: u32,
}

impl<K> Page<K> {
    /// The most entries on one page.
    pub const MAX_LIMIT: u32 = 1_000;

    /// Creates the first page.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// Creates the page after the entry with this key.
    #[must_use]
    pub const fn after(key: K, limit: u32) -> Self {
        Self {
            after: Some(key),
            limit,
        }
    }

    /// Returns `limit` within its bound.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.min(Self::MAX_LIMIT)
    }
}

/// Which part of a long list: at most `limit` entries, those after `after`.
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
    /// The key of the last entry seen; `None` begins at the beginning.
    pub after: Option<K>,
    /// The most entries wanted. Above [`MAX_LIMIT`](Self::MAX_LIMIT) counts as that.
    pub limit: u32,
}

impl<K> Page<K> {
    /// The most entries of one page.
    pub const MAX_LIMIT: u32 = 1_000;

    /// The first page.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// The page that follows the entry with this key.
    #[must_use]
    pub const fn after(key: K, limit: u32) -> Self {
        Self {
            after: Some(key),
            limit,
        }
    }

    /// `limit`, within its bound.
    pub(crate) fn limit(&self) -> u32 {
        self.limit.min(Self::MAX_LIMIT)
    }
}

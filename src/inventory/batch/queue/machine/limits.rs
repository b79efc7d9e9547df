/// The limits of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Limits {
    /// The most requests in a batch.
    pub(crate) batch: usize,
    /// The most lines in a batch of several requests.
    pub(crate) lines: usize,
    /// The most queued requests.
    pub(crate) queue: usize,
    /// The most connections in use, 1 or more.
    pub(crate) connections: usize,
    /// After this number of blocked batches a request is refused, 1 or more.
    pub(crate) attempts: u32,
    /// The fewest requests of a batch that is sent while another one of the same keys is written.
    pub(crate) follow: usize,
    /// No request is direct because it is uncontended.
    pub(crate) always: bool,
    /// An uncontended request is direct also while a batch runs.
    pub(crate) beside: bool,
}

impl Limits {
    /// The most batches at a time.
    pub(super) const BATCHES: usize = 3;
    /// The most batches of suspect keys at a time: one more is for other requests.
    pub(super) const SUSPECT_BATCHES: usize = Self::BATCHES - 1;
    /// The most uncontended requests that are direct at a time. With 4, two to four buyers of different products
    /// are as fast as without a queue; with 2 they were a quarter slower, with 8 thirty-two buyers were.
    pub(super) const UNCONTENDED: usize = 4;
    /// The most bypassing requests at a time.
    pub(super) const BYPASSING: usize = 4;
    /// The most bypassing requests of one key at a time.
    pub(super) const BYPASSING_OF_A_KEY: usize = 2;
    /// How often a batch may start before the oldest request does.
    pub(super) const PASSES: u32 = 8;

    /// Returns the most connections for everything but a batch of unsuspected keys, for which one is reserved.
    pub(super) const fn shared(&self) -> usize {
        match self.connections {
            0..=2 => 1,
            more => more - 1,
        }
    }

    /// Returns the most uncontended requests, so that one of the shared connections is left for others.
    pub(super) const fn uncontended(&self) -> usize {
        match self.shared() {
            0..=2 => 1,
            shared if shared > Self::UNCONTENDED => Self::UNCONTENDED,
            shared => shared - 1,
        }
    }
}

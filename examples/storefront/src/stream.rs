//! Streams of events that end with the shop.

use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt, wrappers::WatchStream};

/// Ends `stream` as soon as `stopped` becomes true.
pub(crate) fn until_stopped<S: Stream>(
    stopped: watch::Receiver<bool>,
    stream: S,
) -> impl Stream<Item = S::Item> {
    let stopped = WatchStream::new(stopped).map(|stopped| match stopped {
        true => None,
        false => Some(None),
    });
    let stream = stream.map(|item| Some(Some(item)));
    let stream = stream.chain(tokio_stream::once(None));
    stopped
        .merge(stream)
        .take_while(Option::is_some)
        .filter_map(Option::flatten)
}

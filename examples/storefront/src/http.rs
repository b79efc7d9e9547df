//! The HTTP server: its connections, and how it ends.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::{Extension, extract::connect_info::IntoMakeServiceWithConnectInfo};
use axum_server::{Handle, accept::Accept};
#[cfg(target_os = "linux")]
use socket2::SockRef;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tower::Layer;
use tracing::{debug, warn};

use crate::{router, shop::Shop};

/// How long a client may take for the head of a request, and how long a connection stays open without one.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// How long a client may take to acknowledge what was sent to it.
#[cfg(target_os = "linux")]
const READER_LIMIT: Duration = Duration::from_secs(20);

/// How long running requests may take after the signal to end.
const DRAIN: Duration = Duration::from_secs(10);

/// How long the last bytes of the responses may take after that.
const FLUSH: Duration = Duration::from_millis(250);

/// The most connections at once. Further ones are closed: the operating system limits the files of a process, and
/// the database needs some of them.
const MAX_CONNECTIONS: u64 = 10_000;

/// Files that are left for everything but the connections of clients.
const OTHER_FILES: u64 = 256;

/// Accepts connections up to a number.
#[derive(Clone, Debug)]
struct Limited(Arc<Semaphore>);

type Counted<S> = <Extension<Arc<OwnedSemaphorePermit>> as Layer<S>>::Service;

impl<S> Accept<TcpStream, S> for Limited {
    type Stream = TcpStream;
    type Service = Counted<S>;
    type Future = std::future::Ready<io::Result<(TcpStream, Counted<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        // Without this limit, a client that reads nothing keeps its connection for ever.
        #[cfg(target_os = "linux")]
        if let Err(error) = SockRef::from(&stream).set_tcp_user_timeout(Some(READER_LIMIT)) {
            return std::future::ready(Err(error));
        }
        let accepted = match Arc::clone(&self.0).try_acquire_owned() {
            // The connection's service holds the permit until the connection ends.
            Ok(permit) => Ok((stream, Extension(Arc::new(permit)).layer(service))),
            Err(_) => Err(io::Error::other(
                "as many connections as the shop can serve",
            )),
        };
        std::future::ready(accepted)
    }
}

/// Serves the shop until it stops, and returns when its requests are answered. Connections without a request are
/// closed then.
///
/// # Errors
///
/// The listener can't be used.
pub async fn serve(listener: TcpListener, shop: Shop) -> io::Result<()> {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
    let connections = files.saturating_sub(OTHER_FILES).clamp(64, MAX_CONNECTIONS);
    let handle = Handle::new();
    let service: IntoMakeServiceWithConnectInfo<_, SocketAddr> =
        router(Arc::clone(&shop)).into_make_service_with_connect_info();
    let mut server = axum_server::from_tcp(listener)?
        .http1_only()
        .first_request_timeout(HEAD_LIMIT)
        .handle(handle.clone())
        .accept_error_handler(
            |client, error| debug!(?client, %error, "a connection was not accepted"),
        )
        .acceptor(Limited(Arc::new(Semaphore::new(connections as usize))));
    server
        .http_builder()
        .http1()
        .header_read_timeout(HEAD_LIMIT);
    let ended = tokio::spawn(async move {
        let mut stopped = shop.stopped.clone();
        // An error means that the sender is gone, which ends the program as well.
        let _ = stopped.wait_for(|stopped| *stopped).await;
        handle.graceful_shutdown(None);
        if timeout(DRAIN, shop.running.none()).await.is_err() {
            warn!("requests were still running after {DRAIN:?}");
        }
        sleep(FLUSH).await;
        // Connections whose client has not sent a whole request.
        handle.shutdown();
    });
    let served = server.serve(service).await;
    ended.abort();
    served
}

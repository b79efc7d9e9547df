//! A proxy between client and server that cuts a connection at a chosen message.

mod relay;
mod wire;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use optilock::{
    postgres::PoolOptions,
    sqlx::{PgPool, postgres::PgConnectOptions},
};
use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    sync::Notify,
};

use crate::support::db::{Db, pool_options};
use wire::{Trap, Wire};

/// What happens to the first message that contains the needle.
#[derive(Clone, Debug)]
pub enum Cut {
    /// The message never reaches the server, and the connection is closed.
    Before,
    /// The server acts on the message, and the connection is closed before its answer arrives.
    Reply,
    /// The transaction fails with a serialization failure instead, as an engine that checks for conflicts at the end
    /// of any statement, or at `COMMIT`, says it. Nothing is stored, and the connection stays.
    Conflict,
    /// The connection is closed at once. The message reaches the server when the first is notified, and the
    /// second is notified when the server has acted on it.
    Late(Arc<Notify>, Arc<Notify>),
}

pub struct Proxy {
    wire: Arc<Wire>,
    options: PgConnectOptions,
    upstream: Upstream,
}

/// The server that new connections are relayed to.
type Upstream = Arc<Mutex<PgConnectOptions>>;

impl Proxy {
    pub async fn new(db: &Db) -> Self {
        Self::to(db.database.options()).await
    }

    /// Relays connections to the database of these options.
    pub async fn to(upstream: PgConnectOptions) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port for the proxy");
        let port = listener
            .local_addr()
            .expect("a bound listener has an address")
            .port();
        let options = match upstream.get_socket() {
            Some(_) => PgConnectOptions::new_without_pgpass()
                .username(upstream.get_username())
                .database(
                    upstream
                        .get_database()
                        .expect("the test's database has a name"),
                ),
            None => upstream.clone(),
        };
        let options = options
            .host("127.0.0.1")
            .port(port)
            .options([("search_path", "")]);
        let wire = Arc::new(Wire {
            allowed: AtomicU64::new(u64::MAX),
            ..Wire::default()
        });
        let upstream = Arc::new(Mutex::new(upstream));
        tokio::spawn(accept(listener, Arc::clone(&wire), Arc::clone(&upstream)));
        Self {
            wire,
            options,
            upstream,
        }
    }

    /// Relays new connections to another server.
    pub fn switch(&self, upstream: PgConnectOptions) {
        *self.upstream.lock().unwrap() = upstream;
    }

    /// Connects a pool through the proxy.
    pub async fn pool(&self, connections: u32) -> PgPool {
        self.pool_with(pool_options(connections)).await
    }

    /// Connects a pool with these options through the proxy.
    pub async fn pool_with(&self, options: PoolOptions) -> PgPool {
        options
            .connect_with(self.options.clone())
            .await
            .expect("a connection through the proxy")
    }

    /// Returns the options of a connection through the proxy.
    pub fn connect_options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Delays one answer in eight by up to `longest`.
    pub fn delay_answers(&self, longest: Duration) {
        let micros = longest.as_micros().try_into().expect("a short delay");
        self.wire.delay.store(micros, SeqCst);
    }

    /// Returns how many answers were delayed.
    pub fn delayed(&self) -> u64 {
        self.wire.delayed.load(SeqCst)
    }

    /// Sets a trap for the next message that contains the needle.
    pub fn trap(&self, needle: &[u8], cut: Cut) {
        self.set(needle, 0, cut);
    }

    /// Sets a trap for the message that follows `messages` others.
    pub fn trap_after(&self, messages: u32, cut: Cut) {
        self.set(b"", messages, cut);
    }

    fn set(&self, needle: &[u8], passing: u32, cut: Cut) {
        *self.wire.trap.lock().unwrap() = Some(Trap {
            needle: needle.to_vec(),
            passing,
            cut,
        });
    }

    /// Removes the trap and returns whether it was still set.
    pub fn disarm(&self) -> bool {
        self.wire.trap.lock().unwrap().take().is_some()
    }

    /// Returns whether the trap is still set.
    pub fn armed(&self) -> bool {
        self.wire.trap.lock().unwrap().is_some()
    }

    /// Stops all traffic of the open connections without closing them; new connections work.
    pub fn silence(&self) {
        let opened = self.wire.opened.load(SeqCst);
        self.wire.silent.store(opened, SeqCst);
    }

    /// Lets this number of statements be parsed or executed, and then none until it is called again; `u64::MAX`
    /// without a limit.
    pub fn allow(&self, statements: u64) {
        self.wire.allowed.store(statements, SeqCst);
        self.wire.more.notify_waiters();
    }

    /// Returns how many statements were parsed without a name. Outside of a transaction, a pooler may run such a
    /// statement on another server than the one that has it.
    pub fn unnamed(&self) -> u64 {
        self.wire.unnamed.load(SeqCst)
    }

    /// Returns how many statements were executed, simple queries sent and statements parsed.
    pub fn counts(&self) -> (u64, u64, u64) {
        let Wire {
            executes,
            queries,
            parses,
            ..
        } = &*self.wire;
        (
            executes.load(SeqCst),
            queries.load(SeqCst),
            parses.load(SeqCst),
        )
    }
}

/// Relays every connection that is made to the listener. A client whose server is down is disconnected.
async fn accept(listener: TcpListener, wire: Arc<Wire>, upstream: Upstream) {
    while let Ok((client, _)) = listener.accept().await {
        client
            .set_nodelay(true)
            .expect("a TCP socket can do without delay");
        let (wire, upstream) = (Arc::clone(&wire), upstream.lock().unwrap().clone());
        tokio::spawn(async move {
            match upstream.get_socket() {
                Some(directory) => {
                    let path = directory.join(format!(".s.PGSQL.{}", upstream.get_port()));
                    if let Ok(server) = UnixStream::connect(path).await {
                        relay::run(wire, client, server).await;
                    }
                }
                None => {
                    let address = (upstream.get_host(), upstream.get_port());
                    if let Ok(server) = TcpStream::connect(address).await {
                        relay::run(wire, client, server).await;
                    }
                }
            }
        });
    }
}

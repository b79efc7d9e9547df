//! A wire that can be cut: between the client and the server, message by message.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};

use optilock::{
    postgres::PoolOptions,
    sqlx::{PgPool, postgres::PgConnectOptions},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream, UnixStream, tcp::OwnedWriteHalf},
    sync::{Notify, watch},
};

use crate::support::db::{Db, pool_options, server};
use support::Source;

/// What happens to the first message that carries the needle.
#[derive(Clone, Debug)]
pub enum Cut {
    /// It never reaches the server, and the connection is gone.
    Before,
    /// The server acts on it, and the connection is gone before its answer arrives.
    Reply,
    /// The connection is gone at once; the message reaches the server when the first is notified,
    /// and the second is notified when the server has acted on it.
    Late(Arc<Notify>, Arc<Notify>),
}

#[derive(Debug)]
struct Trap {
    needle: Vec<u8>,
    /// How many messages with the needle pass.
    passing: u32,
    cut: Cut,
}

#[derive(Debug, Default)]
struct Wire {
    trap: Mutex<Option<Trap>>,
    /// Messages seen from clients, by their type.
    executes: AtomicU64,
    queries: AtomicU64,
    parses: AtomicU64,
    /// How many more statements may pass; `u64::MAX` when there is no limit.
    allowed: AtomicU64,
    /// Connections made so far, and how many of them carry nothing any more.
    opened: AtomicU64,
    silent: AtomicU64,
}

pub struct Proxy {
    wire: Arc<Wire>,
    options: PgConnectOptions,
}

impl Proxy {
    pub async fn new(db: &Db) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a port of our own");
        let port = listener
            .local_addr()
            .expect("a bound listener has an address")
            .port();
        let upstream = db.database.options();
        let options = match server().source() {
            Source::Throwaway => PgConnectOptions::new_without_pgpass()
                .username(upstream.get_username())
                .database(
                    upstream
                        .get_database()
                        .expect("our own database has a name"),
                ),
            Source::Url => upstream.clone(),
        };
        let options = options
            .host("127.0.0.1")
            .port(port)
            .options([("search_path", "")]);
        let wire = Arc::new(Wire {
            allowed: AtomicU64::new(u64::MAX),
            ..Wire::default()
        });
        let accepting = wire.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                client
                    .set_nodelay(true)
                    .expect("a TCP socket can do without delay");
                let (wire, upstream) = (accepting.clone(), upstream.clone());
                tokio::spawn(async move {
                    match upstream.get_socket() {
                        Some(directory) => {
                            let path = directory.join(format!(".s.PGSQL.{}", upstream.get_port()));
                            let server = UnixStream::connect(path)
                                .await
                                .expect("the server's socket");
                            carry(wire, client, server).await;
                        }
                        None => {
                            let address = (upstream.get_host(), upstream.get_port());
                            let server = TcpStream::connect(address)
                                .await
                                .expect("the server's port");
                            carry(wire, client, server).await;
                        }
                    }
                });
            }
        });
        Self { wire, options }
    }

    pub async fn pool(&self, connections: u32) -> PgPool {
        self.pool_with(pool_options(connections)).await
    }

    pub async fn pool_with(&self, options: PoolOptions) -> PgPool {
        options
            .connect_with(self.options.clone())
            .await
            .expect("a connection through the proxy")
    }

    /// Sets a trap for the next message with this in it.
    pub fn trap(&self, needle: &[u8], cut: Cut) {
        self.set(needle, 0, cut);
    }

    /// Sets a trap for a message that is sent after `messages` others.
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

    /// Takes the trap away, and tells whether it was still waiting.
    pub fn disarm(&self) -> bool {
        self.wire.trap.lock().unwrap().take().is_some()
    }

    /// Whether the trap is still waiting.
    pub fn armed(&self) -> bool {
        self.wire.trap.lock().unwrap().is_some()
    }

    /// From now on the connections that are open carry nothing, and are not closed; new ones work.
    pub fn silence(&self) {
        let opened = self.wire.opened.load(SeqCst);
        self.wire.silent.store(opened, SeqCst);
    }

    /// Lets so many statements be parsed or executed, and then none.
    pub fn allow(&self, statements: u64) {
        self.wire.allowed.store(statements, SeqCst);
    }

    /// Statements executed, simple queries sent and statements parsed, so far.
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

/// What becomes of the server's answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answers {
    Carried,
    /// Dropped, with the client still connected.
    Swallowed,
    /// Dropped, and the client's connection is closed.
    Unwanted,
}

/// Carries one connection until either side, or a trap, ends it.
async fn carry<S>(wire: Arc<Wire>, client: TcpStream, server: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let number = wire.opened.fetch_add(1, SeqCst) + 1;
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = split(server);
    let (answers, wanted) = watch::channel(Answers::Carried);
    let answered = Arc::new(Notify::new());
    let way = (wire.clone(), number);
    tokio::spawn(carry_back(
        way,
        from_server,
        to_client,
        wanted,
        answered.clone(),
    ));
    let mut started = false; // the startup message has no type
    while let Ok(message) = read_message(&mut from_client, started).await {
        if std::mem::replace(&mut started, true) {
            wire.count(message[0]).await;
        }
        wire.hold_if_silent(number).await;
        match spring(&wire, &message) {
            None if to_server.write_all(&message).await.is_ok() => {}
            None | Some(Cut::Before) => return,
            Some(Cut::Reply) => {
                answers.send_replace(Answers::Swallowed);
                let rest = rest_of_exchange(&mut from_client, message).await;
                to_server
                    .write_all(&rest)
                    .await
                    .expect("the server is there");
                answered.notified().await;
                return;
            }
            Some(Cut::Late(release, done)) => {
                let rest = rest_of_exchange(&mut from_client, message).await;
                answers.send_replace(Answers::Unwanted);
                drop(from_client);
                release.notified().await;
                to_server
                    .write_all(&rest)
                    .await
                    .expect("the server is there");
                answered.notified().await;
                done.notify_one();
                return;
            }
        }
    }
}

/// Carries the server's answers until it, or the other direction, has ended.
async fn carry_back(
    (wire, number): (Arc<Wire>, u64),
    mut from_server: impl AsyncRead + Unpin,
    to_client: OwnedWriteHalf,
    mut wanted: watch::Receiver<Answers>,
    answered: Arc<Notify>,
) {
    let mut to_client = Some(to_client);
    let mut buffer = [0; 16_384];
    loop {
        let read = tokio::select! {
            changed = wanted.changed() => {
                let Ok(()) = changed else { return };
                if *wanted.borrow() == Answers::Unwanted {
                    to_client = None;
                }
                continue;
            }
            read = from_server.read(&mut buffer) => read,
        };
        let Ok(read @ 1..) = read else { return };
        wire.hold_if_silent(number).await;
        let mode = *wanted.borrow();
        match &mut to_client {
            Some(client) if mode == Answers::Carried => {
                if client.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
            _ => answered.notify_one(),
        }
    }
}

impl Wire {
    async fn hold_if_silent(&self, number: u64) {
        if number <= self.silent.load(SeqCst) {
            std::future::pending().await
        }
    }

    /// Books a message, and holds it for ever if it is one too many.
    async fn count(&self, kind: u8) {
        match kind {
            b'E' => _ = self.executes.fetch_add(1, SeqCst),
            b'Q' => _ = self.queries.fetch_add(1, SeqCst),
            b'P' => _ = self.parses.fetch_add(1, SeqCst),
            _ => {}
        }
        if matches!(kind, b'E' | b'Q' | b'P') {
            let left = self.allowed.load(SeqCst);
            if left == 0 {
                std::future::pending::<()>().await;
            }
            self.allowed
                .store(if left == u64::MAX { left } else { left - 1 }, SeqCst);
        }
    }
}

fn spring(wire: &Wire, message: &[u8]) -> Option<Cut> {
    let mut trap = wire.trap.lock().unwrap();
    let Trap {
        needle, passing, ..
    } = trap.as_mut()?;
    let met = matches!(message[0], b'B' | b'Q')
        && (needle.is_empty()
            || message
                .windows(needle.len())
                .any(|window| window == *needle));
    if !met {
        return None;
    }
    if *passing > 0 {
        *passing -= 1;
        return None;
    }
    trap.take().map(|trap| trap.cut)
}

/// This message and those that follow, up to the one that asks for an answer.
async fn rest_of_exchange(client: &mut (impl AsyncRead + Unpin), first: Vec<u8>) -> Vec<u8> {
    let mut last = first[0];
    let mut all = first;
    while !matches!(last, b'S' | b'Q') {
        let message = read_message(client, true)
            .await
            .expect("the client ends its exchange");
        last = message[0];
        all.extend(message);
    }
    all
}

async fn read_message(
    client: &mut (impl AsyncRead + Unpin),
    typed: bool,
) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; if typed { 5 } else { 4 }];
    client.read_exact(&mut message).await?;
    let at = message.len() - 4;
    let length = u32::from_be_bytes([
        message[at],
        message[at + 1],
        message[at + 2],
        message[at + 3],
    ]) as usize;
    message.resize(at + length, 0);
    client.read_exact(&mut message[at + 4..]).await?;
    Ok(message)
}

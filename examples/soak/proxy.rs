//! A proxy between the clients and the server: cuts connections at messages, falls silent, delays answers.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use optilock::sqlx::postgres::PgConnectOptions;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream, UnixStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
        unix,
    },
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use crate::BoxError;

/// How the next suitable message is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server does not receive it.
    Before,
    /// The server receives it, the client gets no answer.
    Answer,
    /// The server receives a part of it.
    Within,
}

#[derive(Clone, Copy, Debug)]
struct Trap {
    cut: Cut,
    /// Only a message that sends COMMIT.
    commit: bool,
}

#[derive(Debug)]
struct State {
    socket: PathBuf,
    trap: Mutex<Option<Trap>>,
    /// Messages and answers of connections with a lower number wait until then.
    silence: Mutex<(u64, Instant)>,
    connections: AtomicU64,
    delaying: AtomicBool,
    delayed: AtomicU64,
    silenced: AtomicU64,
}

#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    state: Arc<State>,
    port: u16,
}

impl Proxy {
    /// Listens on a port of 127.0.0.1 and relays to the Unix socket of the options.
    pub(crate) async fn start(options: &PgConnectOptions) -> Result<Self, BoxError> {
        let directory = options
            .get_socket()
            .ok_or("the server has no Unix socket")?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State {
            socket: directory.join(format!(".s.PGSQL.{}", options.get_port())),
            trap: Mutex::default(),
            silence: Mutex::new((0, Instant::now())),
            connections: AtomicU64::new(0),
            delaying: AtomicBool::new(false),
            delayed: AtomicU64::new(0),
            silenced: AtomicU64::new(0),
        });
        tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { state, port })
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the next message that asks for an answer, or the next COMMIT. Returns whether one came within the limit.
    pub(crate) async fn cut(&self, cut: Cut, commit: bool, limit: Duration) -> bool {
        *self.state.trap.lock().expect("no panic") = Some(Trap { cut, commit });
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if self.state.trap.lock().expect("no panic").is_none() {
                return true;
            }
            sleep(Duration::from_millis(2)).await;
        }
        self.state.trap.lock().expect("no panic").take().is_none()
    }

    /// Lets all connections that are open now stand still for a time. Returns how many had a message to relay.
    pub(crate) async fn silence(&self, time: Duration) -> u64 {
        let before = self.state.silenced.load(SeqCst);
        let end = Instant::now() + time;
        *self.state.silence.lock().expect("no panic") = (self.state.connections.load(SeqCst), end);
        sleep_until(end).await;
        self.state.silenced.load(SeqCst) - before
    }

    /// Delays each answer by up to 100 ms for a time. Returns the number of answers that were delayed.
    pub(crate) async fn delay(&self, time: Duration) -> u64 {
        let before = self.state.delayed.load(SeqCst);
        self.state.delaying.store(true, SeqCst);
        sleep(time).await;
        self.state.delaying.store(false, SeqCst);
        self.state.delayed.load(SeqCst) - before
    }
}

impl State {
    async fn wait_while_silent(&self, connection: u64) {
        let (until, end) = *self.silence.lock().expect("no panic");
        if connection < until && Instant::now() < end {
            self.silenced.fetch_add(1, SeqCst);
            sleep_until(end).await;
        }
    }

    /// Takes the trap if it is for this message.
    fn trap_of(&self, message: &[u8]) -> Option<Cut> {
        /// The message that ends an exchange of the extended protocol.
        const SYNC: &[u8] = b"S\0\0\0\x04";
        let mut trap = self.trap.lock().expect("no panic");
        let set = (*trap)?;
        let suits = if set.commit {
            message.windows(6).any(|part| part == b"COMMIT")
        } else {
            message[0] == b'Q' || message.ends_with(SYNC)
        };
        suits.then(|| {
            *trap = None;
            set.cut
        })
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((client, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            // Both sides see the end of a connection that fails; a server that is down refuses.
            let _ = relay(client, &state).await;
        });
    }
}

async fn relay(client: TcpStream, state: &State) -> io::Result<()> {
    client.set_nodelay(true)?;
    let server = UnixStream::connect(&state.socket).await?;
    let connection = state.connections.fetch_add(1, SeqCst);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (answering, answers) = watch::channel(true);
    tokio::select! {
        result = relay_messages(state, connection, from_client, to_server, answering) => result,
        result = relay_answers(state, connection, from_server, to_client, answers) => result,
    }
}

/// Relays the client's messages until it, or a trap, closes the connection.
async fn relay_messages(
    state: &State,
    connection: u64,
    mut from_client: OwnedReadHalf,
    mut to_server: unix::OwnedWriteHalf,
    answering: watch::Sender<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from_client.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        state.wait_while_silent(connection).await;
        let message = &buffer[..read];
        match state.trap_of(message) {
            None => to_server.write_all(message).await?,
            Some(Cut::Before) => return Ok(()),
            Some(Cut::Within) => {
                let part = rand::random_range(0..read);
                return to_server.write_all(&message[..part]).await;
            }
            Some(Cut::Answer) => {
                answering.send_replace(false);
                // The server acts on what it has received, also when the connection is closed then.
                return to_server.write_all(message).await;
            }
        }
    }
}

/// Relays the server's answers until it closes the connection.
async fn relay_answers(
    state: &State,
    connection: u64,
    mut from_server: unix::OwnedReadHalf,
    mut to_client: OwnedWriteHalf,
    answering: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from_server.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        state.wait_while_silent(connection).await;
        if state.delaying.load(SeqCst) {
            state.delayed.fetch_add(1, SeqCst);
            sleep(Duration::from_millis(rand::random_range(0..=100))).await;
        }
        if *answering.borrow() {
            to_client.write_all(&buffer[..read]).await?;
        }
    }
}

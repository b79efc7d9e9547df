//! A simulated network between client and server: all data is delayed by half a round trip.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use optilock::sqlx::postgres::PgConnectOptions;

/// Returns options that connect to the same database over a network with this round trip.
///
/// It uses threads, because the timer of the runtime is too coarse for a quarter of a millisecond. The
/// threads end with their connections.
pub(crate) fn between(upstream: PgConnectOptions, round_trip: Duration) -> PgConnectOptions {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("the listener is bound").port();
    let options = upstream.clone().host("127.0.0.1").port(port);
    // Options with a Unix socket ignore the host.
    let options = match upstream.get_socket() {
        None => options,
        Some(_) => PgConnectOptions::new_without_pgpass()
            .username(upstream.get_username())
            .database(
                upstream
                    .get_database()
                    .expect("the options name a database"),
            )
            .host("127.0.0.1")
            .port(port),
    };
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.expect("a connection");
            client.set_nodelay(true).expect("a TCP socket");
            let delay = round_trip / 2;
            if let Some(directory) = upstream.get_socket() {
                let path = directory.join(format!(".s.PGSQL.{}", upstream.get_port()));
                let server = UnixStream::connect(path).expect("the server's socket");
                let back = server.try_clone().expect("a socket can be cloned");
                forward(clone(&client), server, delay);
                forward(back, client, delay);
            } else {
                let address = (upstream.get_host(), upstream.get_port());
                let server = TcpStream::connect(address).expect("the server's port");
                server.set_nodelay(true).expect("a TCP socket");
                let back = clone(&server);
                forward(clone(&client), server, delay);
                forward(back, client, delay);
            }
        }
    });
    options
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a socket can be cloned")
}

fn forward(
    mut from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    delay: Duration,
) {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if sender
                .send((Instant::now() + delay, buffer[..read].to_vec()))
                .is_err()
            {
                return;
            }
        }
    });
    let receiver: Receiver<(Instant, Vec<u8>)> = receiver;
    thread::spawn(move || {
        for (due, bytes) in receiver {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
    });
}

//! The relay of one connection's messages.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpStream, tcp::OwnedWriteHalf},
    sync::{Notify, watch},
};

use super::{Cut, wire::Wire};

/// What happens to the server's answers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answers {
    Relayed,
    /// Dropped, with the client still connected.
    Dropped,
    /// Dropped, and the client's connection is closed.
    Refused,
}

/// Relays one connection until either side, or a trap, ends it.
pub async fn run<S>(wire: Arc<Wire>, client: TcpStream, server: S)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = wire.opened.fetch_add(1, SeqCst) + 1;
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = split(server);
    let (answers, mode) = watch::channel(Answers::Relayed);
    let answered = Arc::new(Notify::new());
    tokio::spawn(relay_answers(
        (wire.clone(), connection),
        from_server,
        to_client,
        mode,
        answered.clone(),
    ));
    let mut started = false; // the startup message has no type
    while let Ok(message) = read_message(&mut from_client, started).await {
        if std::mem::replace(&mut started, true) {
            wire.count(&message).await;
        }
        wire.wait_if_silent(connection).await;
        match wire.cut_at(&message) {
            // A ROLLBACK meets no conflict.
            Some(Cut::Conflict) if is_query(&message, "ROLLBACK") => {
                if to_server.write_all(&message).await.is_err() {
                    return;
                }
            }
            None if to_server.write_all(&message).await.is_ok() => {}
            None | Some(Cut::Before) => return,
            Some(Cut::Reply) => {
                answers.send_replace(Answers::Dropped);
                let rest = rest_of_exchange(&mut from_client, message).await;
                // A backend that has ended meanwhile counts as having answered.
                drop(to_server.write_all(&rest).await);
                answered.notified().await;
                return;
            }
            Some(Cut::Conflict) => {
                let end = if is_query(&message, "COMMIT") {
                    "ROLLBACK; "
                } else {
                    ""
                };
                rest_of_exchange(&mut from_client, message).await;
                let conflict = simple_query(&format!("{end}{CONFLICT}"));
                if to_server.write_all(&conflict).await.is_err() {
                    return;
                }
            }
            Some(Cut::Late(release, done)) => {
                let rest = rest_of_exchange(&mut from_client, message).await;
                answers.send_replace(Answers::Refused);
                drop(from_client);
                release.notified().await;
                drop(to_server.write_all(&rest).await);
                answered.notified().await;
                done.notify_one();
                return;
            }
        }
    }
}

/// Relays the server's answers until the server, or the other direction, has ended.
async fn relay_answers(
    wire: (Arc<Wire>, u64),
    from_server: impl AsyncRead + Unpin,
    to_client: OwnedWriteHalf,
    mode: watch::Receiver<Answers>,
    answered: Arc<Notify>,
) {
    relay_each_answer(wire, from_server, to_client, mode, &answered).await;
    answered.notify_one();
}

async fn relay_each_answer(
    (wire, connection): (Arc<Wire>, u64),
    mut from_server: impl AsyncRead + Unpin,
    to_client: OwnedWriteHalf,
    mut mode: watch::Receiver<Answers>,
    answered: &Notify,
) {
    let mut to_client = Some(to_client);
    let mut buffer = [0; 16_384];
    loop {
        let read = tokio::select! {
            changed = mode.changed() => {
                let Ok(()) = changed else { return };
                if *mode.borrow() == Answers::Refused {
                    to_client = None;
                }
                continue;
            }
            read = from_server.read(&mut buffer) => read,
        };
        let Ok(read @ 1..) = read else { return };
        wire.wait_if_silent(connection).await;
        wire.delay_answer().await;
        let current = *mode.borrow();
        match &mut to_client {
            Some(client) if current == Answers::Relayed => {
                if client.write_all(&buffer[..read]).await.is_err() {
                    return;
                }
            }
            _ => answered.notify_one(),
        }
    }
}

/// Fails as Aurora DSQL does when it checks the writes of a transaction.
const CONFLICT: &str =
    "DO $$ BEGIN RAISE 'change conflicts with another transaction, please retry: (OC000)'
    USING ERRCODE = '40001'; END $$";

fn is_query(message: &[u8], begins: &str) -> bool {
    message[0] == b'Q' && message[5..].starts_with(begins.as_bytes())
}

/// Returns the message of a query in text form.
fn simple_query(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len() + 5).expect("a short text");
    let mut message = vec![b'Q'];
    message.extend(length.to_be_bytes());
    message.extend(text.as_bytes());
    message.push(0);
    message
}

/// Returns this message and those that follow, up to the one that asks for an answer or the last one of a client
/// that has gone.
async fn rest_of_exchange(client: &mut (impl AsyncRead + Unpin), first: Vec<u8>) -> Vec<u8> {
    let mut last = first[0];
    let mut all = first;
    while !matches!(last, b'S' | b'Q') {
        let Ok(message) = read_message(client, true).await else {
            break;
        };
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

//! An error as a server sends it, read by the driver: only so does an error have a severity, a routine and a schema.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use sqlx::{
    ConnectOptions,
    postgres::{PgConnectOptions, PgSslMode},
};

/// The fields of an `ErrorResponse` (chapter 55.8 of PostgreSQL's manual).
#[derive(Clone, Copy)]
pub(super) struct Sent {
    pub(super) severity: &'static str,
    pub(super) code: &'static str,
    pub(super) message: &'static str,
    pub(super) table: &'static str,
    pub(super) schema: &'static str,
    pub(super) constraint: &'static str,
    pub(super) routine: &'static str,
}

impl Sent {
    pub(super) const fn error(code: &'static str) -> Self {
        Self {
            severity: "ERROR",
            code,
            message: "",
            table: "",
            schema: "",
            constraint: "",
            routine: "",
        }
    }

    pub(super) const fn fatal(code: &'static str) -> Self {
        Self {
            severity: "FATAL",
            ..Self::error(code)
        }
    }

    /// Returns the error of a login that is answered with these fields.
    pub(super) async fn received(self) -> sqlx::Error {
        let server = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = server.local_addr().expect("its address").port();
        let fields = [
            ('S', self.severity),
            ('V', self.severity),
            ('C', self.code),
            ('M', self.message),
            ('t', self.table),
            ('s', self.schema),
            ('n', self.constraint),
            ('R', self.routine),
        ];
        let sent = fields.iter().filter(|field| !field.1.is_empty());
        let sent: String = sent.map(|(key, text)| format!("{key}{text}\0")).collect();
        let answering = thread::spawn(move || {
            let (mut login, _) = server.accept().expect("a login");
            // The server may close the connection only after the request was read.
            let mut length = [0; 4];
            login.read_exact(&mut length).expect("the request's length");
            let mut request = vec![0; u32::from_be_bytes(length) as usize - length.len()];
            login.read_exact(&mut request).expect("the request");
            let length = u32::try_from(length.len() + sent.len() + 1).expect("a short message");
            let answer = [b"E", &length.to_be_bytes()[..], sent.as_bytes(), b"\0"].concat();
            login.write_all(&answer).expect("the answer is read");
        });
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port)
            .username("anyone")
            .ssl_mode(PgSslMode::Disable);
        let refused = options.connect().await.expect_err("the login is refused");
        answering.join().expect("the login was answered");
        refused
    }
}

//! An application server: this program in a process of its own, with a pool and a queue of its own.
//!
//! Parent and child talk in lines over standard input and output. The first line holds the database's URL, which
//! may contain a password, and so is no argument of the command.

use std::{
    env,
    io::{BufRead, BufReader, Write, stdin, stdout},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use optilock::inventory::{BatchOptions, BatchedInventory, PgInventory, Sku};
use tokio::runtime::Builder;

use super::super::{
    seller::Seller,
    turn::{self, Turn},
};
use crate::pool::{self, CONNECTIONS};

/// The argument that makes this program an application server.
const ARGUMENT: &str = "application";

/// Buyers of all processes together.
const BUYERS: u64 = 256;

/// The parent's side. Dropping it ends the process.
pub(super) struct Application {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Application {
    /// Starts one of `processes` application servers. Returns when it is connected.
    pub(super) fn start(url: &str, sku: &Sku, processes: u32) -> Self {
        let program = env::current_exe().expect("the path of this program");
        let mut child = Command::new(program)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        let answers = child.stdout.take().expect("stdout is a pipe");
        let mut application = Self {
            requests: child.stdin.take(),
            answers: BufReader::new(answers),
            child,
        };
        application.send(&format!("{url}\t{sku}\t{processes}"));
        application.receive();
        application
    }

    pub(super) fn start_turn(&mut self, window: Duration) {
        self.send(&window.as_micros().to_string());
    }

    pub(super) fn end_turn(&mut self) -> Turn {
        let answer = self.receive();
        let mut numbers = answer.split_whitespace().map(|number| {
            let number = number.parse();
            number.expect("the process answers with numbers")
        });
        let mut next = || numbers.next().expect("the process answers with 4 numbers");
        Turn {
            done: next(),
            elapsed: Duration::from_micros(next()),
            p50: Duration::from_micros(next()),
            p99: Duration::from_micros(next()),
        }
    }

    fn send(&mut self, line: &str) {
        let requests = self.requests.as_mut().expect("the pipe is open until drop");
        writeln!(requests, "{line}").expect("the process reads its input");
    }

    fn receive(&mut self) -> String {
        let mut line = String::new();
        let read = self.answers.read_line(&mut line);
        assert!(
            read.is_ok_and(|read| read > 0),
            "an application server has ended"
        );
        line
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.requests = None;
        // Errors are ignored: a panic may be in progress.
        drop(self.child.wait());
    }
}

/// Runs as an application server if the arguments say so, until its input ends. Returns whether it did.
pub(crate) fn serve() -> bool {
    if env::args().nth(1).as_deref() != Some(ARGUMENT) {
        return false;
    }
    let mut lines = stdin().lines().map_while(Result::ok);
    let first = lines.next().expect("the parent sends the parameters");
    let mut parameters = first.split('\t');
    let mut next = || parameters.next().expect("there are three parameters");
    let (url, sku, processes) = (next(), next(), next());
    let sku = Sku::new(sku).expect("a valid SKU");
    let processes: u32 = processes.parse().expect("a number of processes");
    let runtime = Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be built");
    let options = url.parse().expect("a valid URL");
    let pool = runtime.block_on(pool::open(options, CONNECTIONS / processes));
    let queue = BatchedInventory::new(PgInventory::new(pool.clone()), BatchOptions::new());
    let seller = Seller::Library(Arc::new(queue.clone()));
    answer("ready");
    for window in lines {
        let window = Duration::from_micros(window.parse().expect("a number of microseconds"));
        let (seller, sku) = (seller.clone(), sku.clone());
        let buy = move || {
            let (seller, sku) = (seller.clone(), sku.clone());
            async move {
                seller.buy(&sku).await;
                1
            }
        };
        let turn = runtime.block_on(turn::take(BUYERS / u64::from(processes), window, buy));
        let micros = [turn.elapsed, turn.p50, turn.p99].map(|time| time.as_micros().to_string());
        answer(&format!("{} {}", turn.done, micros.join(" ")));
    }
    runtime.block_on(async {
        queue
            .shutdown(Duration::from_secs(30))
            .await
            .expect("every request has its answer");
        pool.close().await;
    });
    true
}

fn answer(line: &str) {
    let mut stdout = stdout();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    written.expect("the parent reads the answers");
}

//! The client processes: started, killed, stopped for a while, and listened to.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{BoxError, record::Record, request::Entry};

/// How long a process may take to finish its open calls.
const END: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Process {
    child: Child,
    listener: JoinHandle<()>,
    /// How many processes this client has had before.
    generation: u64,
}

/// The processes by the number of their client. Number 0 is the keeper of the shop.
#[derive(Debug)]
pub(crate) struct Processes {
    program: PathBuf,
    url: String,
    seed: u64,
    buyers: u32,
    record: Arc<Mutex<Record>>,
    running: BTreeMap<u32, Process>,
}

impl Processes {
    pub(crate) fn new(
        (url, seed, buyers): (String, u64, u32),
        record: Arc<Mutex<Record>>,
    ) -> Result<Self, BoxError> {
        Ok(Self {
            program: std::env::current_exe()?,
            url,
            seed,
            buyers,
            record,
            running: BTreeMap::new(),
        })
    }

    pub(crate) fn start(&mut self, client: u32, generation: u64) -> Result<(), BoxError> {
        // Any other multiplier would do: seeds of clients and generations must differ.
        let seed = self
            .seed
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .wrapping_add(u64::from(client) << 32 | generation << 8);
        let mut child = Command::new(&self.program)
            .arg(if client == 0 { "keep" } else { "buy" })
            .args(["--url", &self.url])
            .args(["--seed", &seed.to_string()])
            .args(["--number", &client.saturating_sub(1).to_string()])
            .args(["--buyers", &self.buyers.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().ok_or("stdout is a pipe")?);
        let record = Arc::clone(&self.record);
        let listener = std::thread::spawn(move || listen(client, lines, &record));
        let process = Process {
            child,
            listener,
            generation,
        };
        self.running.insert(client, process);
        Ok(())
    }

    /// Kills a process and starts another one in its place.
    pub(crate) fn kill(&mut self, client: u32) -> Result<(), BoxError> {
        let Some(mut process) = self.running.remove(&client) else {
            return Err(format!("there is no client {client}").into());
        };
        process.child.kill()?;
        process.child.wait()?;
        self.forget(client, process.listener);
        self.start(client, process.generation + 1)
    }

    /// Returns the number of clients, the keeper included.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.running.len()).unwrap_or(u32::MAX)
    }

    /// Sends a signal such as STOP or CONT.
    pub(crate) fn signal(&self, client: u32, signal: &str) -> Result<(), BoxError> {
        let process = self.running.get(&client).ok_or("there is no such client")?;
        let status = Command::new("kill")
            .args([&format!("-{signal}"), &process.child.id().to_string()])
            .status()?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("kill -{signal} failed with {status}").into())
        }
    }

    /// Starts processes that have ended by themselves again, which is a violation.
    pub(crate) fn revive(&mut self) -> Result<(), BoxError> {
        let clients: Vec<u32> = self.running.keys().copied().collect();
        for client in clients {
            let process = self.running.get_mut(&client).expect("just listed");
            if let Some(status) = process.child.try_wait()? {
                let violation = format!("client {client} ended with {status}");
                self.record
                    .lock()
                    .expect("no panic")
                    .violations
                    .push(violation);
                self.kill(client)?;
            }
        }
        Ok(())
    }

    /// Lets all processes finish their open calls and end.
    pub(crate) fn stop(&mut self) -> Result<(), BoxError> {
        for process in self.running.values_mut() {
            process.child.stdin = None;
        }
        for (client, mut process) in std::mem::take(&mut self.running) {
            let deadline = Instant::now() + END;
            let status = loop {
                if let Some(status) = process.child.try_wait()? {
                    break Some(status);
                }
                if Instant::now() > deadline {
                    process.child.kill()?;
                    break None;
                }
                std::thread::sleep(Duration::from_millis(10));
            };
            if !status.is_some_and(|status| status.success()) {
                let violation = format!("client {client} did not end in order: {status:?}");
                self.record
                    .lock()
                    .expect("no panic")
                    .violations
                    .push(violation);
            }
            self.forget(client, process.listener);
        }
        Ok(())
    }

    fn forget(&self, client: u32, listener: JoinHandle<()>) {
        listener.join().expect("a listener does not panic");
        self.record.lock().expect("no panic").lose(client);
    }
}

/// Also ends the processes when the supervisor fails.
impl Drop for Processes {
    fn drop(&mut self) {
        for process in self.running.values_mut() {
            // A process that has ended can't be killed.
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}

fn listen(client: u32, lines: impl BufRead, record: &Mutex<Record>) {
    for line in lines.lines() {
        // The last line of a process that was killed may be a part of one.
        let Ok(line) = line else { return };
        if let Ok(entry) = serde_json::from_str::<Entry>(&line) {
            record.lock().expect("no panic").note(client, entry);
        }
    }
}

//! The sequence of a run: a server, clients, faults, a calm, and the check of every answer.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use optilock::{
    inventory::{Inventory, PgInventory},
    migrate,
    sqlx::{self, PgPool, postgres::PgPoolOptions},
};
use support::{Durability, Server, environment::Environment};
use tokio::{
    sync::{Mutex as AsyncMutex, watch},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    BoxError, check,
    faults::{self, Acted, Log},
    goods,
    options::Run,
    processes::Processes,
    proxy::Proxy,
    record::Record,
    report,
    stage::{ROLE, Stage},
};

/// How often a line is printed; more often in runs of a few minutes.
const LINE_EVERY: Duration = Duration::from_secs(60);

/// How long the clients run without faults at the end, before every one of them must be able to work.
const RECOVERY: Duration = Duration::from_secs(5);

/// A fault that was due this number of times must have met something.
const MUST_MEET: u64 = 10;

/// Starts the server, which blocks. It is never the one at `DATABASE_URL`, which may have data of value.
pub(crate) fn start_server() -> Result<Server, BoxError> {
    let environment = Environment {
        database_url: None,
        ..Environment::of_process()
    };
    Ok(Server::find_or_start_in(&environment, Durability::Durable)?)
}

/// Returns the number of violations.
pub(crate) async fn run(server: Server, options: &Run) -> Result<usize, BoxError> {
    let seed = options
        .seed
        .unwrap_or_else(|| u64::from(rand::random::<u32>()));
    println!(
        "{}, seed {seed}, {:.1} minutes, {} clients of {} buyers, and the keeper of the shop",
        server.version(),
        options.minutes.as_secs_f64() / 60.0,
        options.clients,
        options.buyers,
    );
    let database = server.create_database("soak").await?;
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .connect_with(database.options())
        .await?;
    migrate(&pool).await?;
    let shop: &dyn Inventory = &PgInventory::new(pool.clone());
    goods::create(&pool, shop).await?;
    Stage::create_role(&database.options()).await?;
    let record: Arc<Mutex<Record>> = Arc::default();
    let proxy = Proxy::start(&database.options()).await?;
    let url = format!(
        "postgres://{ROLE}@127.0.0.1:{}/{}?sslmode=disable",
        proxy.port(),
        database.name()
    );
    let mut processes = Processes::new((url, seed, options.buyers), Arc::clone(&record))?;
    for client in 0..=options.clients {
        processes.start(client, 0)?;
    }
    let stage = Stage {
        server: Arc::new(AsyncMutex::new(server)),
        options: database.options(),
        proxy,
        processes: Arc::new(AsyncMutex::new(processes)),
    };
    let log = Log::default();
    attack(&stage, (seed, options), &record, &log).await?;
    recover(&stage, &record, options.clients).await?;
    let processes = stage.processes.clone();
    let stopped = tokio::task::spawn_blocking(move || {
        let stopped = processes.blocking_lock().stop();
        stopped.map_err(|error| error.to_string())
    });
    stopped.await??;
    wait_for_sessions(&pool).await?;

    let chosen = faults::chosen(options);
    let acted: BTreeMap<&'static str, Acted> = log.lock().expect("no panic").clone();
    let record = std::mem::take(&mut *record.lock().expect("no panic"));
    println!(
        "\n{}\n{}",
        report::answers(&record.tally),
        report::faults(&chosen, &acted)
    );
    let mut found = check::violations(&pool, &record).await?;
    found.extend(record.violations.iter().cloned());
    for fault in chosen {
        let acted = acted.get(fault.name);
        if acted.is_some_and(|acted| acted.met == 0 && acted.times >= MUST_MEET) {
            found.push(format!(
                "the fault {} met nothing: it proves nothing",
                fault.name
            ));
        }
    }
    for violation in &found {
        eprintln!("VIOLATION  {violation}");
    }
    let list = |name, faults: &[String]| match faults {
        [] => String::new(),
        some => format!(" --{name} {}", some.join(",")),
    };
    println!(
        "{} violations; run it again with --seed {seed} --minutes {} --clients {} --buyers {}{}{}",
        found.len(),
        options.minutes.as_secs_f64() / 60.0,
        options.clients,
        options.buyers,
        list("only", &options.only),
        list("without", &options.without),
    );
    pool.close().await;
    database.remove().await?;
    Ok(found.len())
}

/// Runs the faults for the time of the options, and prints a line now and then.
async fn attack(
    stage: &Stage,
    (seed, options): (u64, &Run),
    record: &Mutex<Record>,
    log: &Log,
) -> Result<(), BoxError> {
    let (end, ended) = watch::channel(false);
    let faults = faults::run(stage.clone(), (seed, options), log, ended);
    let lines = async {
        let began = Instant::now();
        let every = LINE_EVERY.min(options.minutes / 6);
        let mut next = began + every;
        while began.elapsed() < options.minutes {
            sleep_until(next.min(began + options.minutes)).await;
            next += every;
            stage.processes.lock().await.revive()?;
            let acted = log.lock().expect("no panic").clone();
            let record = record.lock().expect("no panic");
            let violations = record.violations.len();
            println!(
                "{}",
                report::line(began.elapsed(), &record.tally, &acted, violations)
            );
        }
        end.send_replace(true);
        Ok::<_, BoxError>(())
    };
    let (faults, lines) = tokio::join!(faults, lines);
    faults.and(lines)
}

/// Ends all faults and waits. Afterwards every client must have had a request done.
async fn recover(stage: &Stage, record: &Mutex<Record>, clients: u32) -> Result<(), BoxError> {
    stage.run(faults::RESET).await?;
    sleep(RECOVERY).await;
    let before = record.lock().expect("no panic").tally.done_by.clone();
    sleep(RECOVERY).await;
    let mut record = record.lock().expect("no panic");
    for client in 0..=clients {
        let done = |tally: &BTreeMap<u32, u64>| tally.get(&client).copied().unwrap_or(0);
        if done(&record.tally.done_by) == done(&before) {
            let violation =
                format!("client {client} did nothing within {RECOVERY:?} without faults");
            record.violations.push(violation);
        }
    }
    Ok(())
}

/// Waits until no session of the clients is left.
async fn wait_for_sessions(pool: &PgPool) -> Result<(), BoxError> {
    const LIMIT: Duration = Duration::from_secs(30);
    let end = Instant::now() + LIMIT;
    loop {
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE usename = $1")
                .bind(ROLE)
                .fetch_one(pool)
                .await?;
        if left == 0 {
            return Ok(());
        }
        if Instant::now() > end {
            return Err(format!("{left} sessions of clients are left").into());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

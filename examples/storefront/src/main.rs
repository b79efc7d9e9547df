//! A small shop on the web: an API, a page for shoppers, a dashboard for whoever runs it.
//!
//! `cargo run --release --bin storefront`, and open the address that it prints. It uses the server at
//! `DATABASE_URL`, in the database `optilock_storefront`, which it makes and keeps; or starts a throwaway
//! one.

mod options;

use std::{error::Error, process::ExitCode, time::Duration};

use clap::Parser;
use optilock::{inventory::Janitor, postgres::pool_options};
use tokio::{net::TcpListener, sync::watch, time::timeout};
use tracing::{info, warn};

use options::Options;
use storefront::{self as app, App, Shop, database, telemetry, ticks};
use support::{Durability, Server, Source, signal::interrupted};

/// What is still being answered has so long when the program is told to end.
const DRAIN: Duration = Duration::from_secs(10);

/// And then the rest: a statement that waits for somebody else's lock would hold us for as long as that.
const CLOSE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    telemetry::log();
    let options = Options::parse();
    // It may block for a while, so it is not done by the runtime.
    let server = match Server::find_or_start(Durability::Durable) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
    match runtime.block_on(run(&options, &server)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options, server: &Server) -> Result<(), Box<dyn Error>> {
    database::make(&server.options_of("postgres")).await?;
    let pool = pool_options()
        .max_connections(options.connections)
        .connect_with(server.options_of(database::NAME))
        .await?;
    optilock::migrate(&pool).await?;
    let (stop, stopped) = watch::channel(false);
    let shop = App::open(pool.clone(), stopped.clone()).await?;
    let janitor = tokio::spawn(clean_up(shop.clone(), stopped.clone()));
    let ticker = tokio::spawn(ticks::run(shop.clone(), stopped.clone()));

    let listener = TcpListener::bind(options.address).await?;
    say_where(listener.local_addr()?, server);
    let serving =
        axum::serve(listener, app::router(shop.clone())).with_graceful_shutdown(ended(stopped));
    let serving = tokio::spawn(async move { serving.await });

    interrupted().await;
    info!("ending: who is here is served");
    stop.send_replace(true);
    if timeout(DRAIN, serving).await.is_err() {
        warn!("not everybody was served within {DRAIN:?}");
    }
    let closing = async {
        shop.inventory.shutdown().await;
        janitor.await?;
        ticker.await?;
        pool.close().await;
        Ok::<(), tokio::task::JoinError>(())
    };
    match timeout(CLOSE, closing).await {
        Ok(closed) => closed?,
        Err(_) => warn!("the database still has something of ours in hand"),
    }
    Ok(())
}

async fn clean_up(shop: Shop, stopped: watch::Receiver<bool>) {
    Janitor::new(shop.inventory.clone())
        .run(ended(stopped))
        .await;
}

async fn ended(mut stopped: watch::Receiver<bool>) {
    // An error is the end as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn say_where(address: std::net::SocketAddr, server: &Server) {
    println!("shop       http://{address}/");
    println!("dashboard  http://{address}/dashboard");
    match server.source() {
        Source::Throwaway => println!("on a throwaway {}; Ctrl-C ends it.", server.version()),
        Source::Url => println!(
            "on {}, database {}; Ctrl-C ends it.",
            server.version(),
            database::NAME
        ),
    }
}

//! A small shop on the web: an API, a page for shoppers, a dashboard for the admin.
//!
//! `cargo run --release --bin storefront` prints the address of the shop. It uses the server at
//! `DATABASE_URL`, in the database `optilock_storefront`, which it creates and keeps. If `DATABASE_URL`
//! is not set, it starts a throwaway server.

mod options;
mod server;
mod signal;

use std::{
    error::Error,
    iter::successors,
    net::{SocketAddr, TcpListener},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use optilock::{inventory::Janitor, postgres::pool_options};
use tokio::{sync::watch, time::timeout};
use tracing::{info, warn};

use options::Options;
use server::Server;
use storefront::{App, Shop, database, telemetry, ticks};

/// How long the rest may take after the last request: a statement that waits for a lock would block the end.
const CLOSE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    telemetry::log();
    match start(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let causes = successors(Some(&*error as &dyn Error), |error| (*error).source());
            let causes: Vec<String> = causes.map(ToString::to_string).collect();
            eprintln!("storefront: {}", causes.join(": "));
            ExitCode::FAILURE
        }
    }
}

fn start(options: &Options) -> Result<(), Box<dyn Error>> {
    options.check()?;
    // Starting a server blocks, so it is not done on a thread of the runtime.
    let server = Server::find_or_start()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(run(options, &server))
}

async fn run(options: &Options, server: &Server) -> Result<(), Box<dyn Error>> {
    database::create(&server.options_of("postgres"))
        .await
        .map_err(|error| format!("no connection to {server}: {error}"))?;
    let pool = pool_options()
        .max_connections(options.connections)
        .connect_with(server.options_of(database::NAME))
        .await?;
    let (stop, stopped) = watch::channel(false);
    let shop = App::open(pool.clone(), options.settings(), stopped.clone()).await?;
    let janitor = tokio::spawn(clean_up(
        shop.clone(),
        options.settings().payment_time,
        stopped.clone(),
    ));
    let ticker = tokio::spawn(ticks::run(shop.clone(), stopped.clone()));

    let listener = TcpListener::bind(options.address)
        .map_err(|error| format!("no listener at {}: {error}", options.address))?;
    print_addresses(listener.local_addr()?, server);
    let serving = tokio::spawn(storefront::serve(listener, shop.clone()));

    signal::interrupted().await;
    info!("shutting down: running requests are answered first");
    stop.send_replace(true);
    serving.await??;
    let closing = async {
        if let Err(timed_out) = shop.inventory.shutdown(CLOSE).await {
            warn!("{timed_out}");
        }
        janitor.await?;
        ticker.await?;
        pool.close().await;
        Ok::<(), tokio::task::JoinError>(())
    };
    match timeout(CLOSE, closing).await {
        Ok(closed) => closed?,
        Err(_) => warn!("a statement was still running after {CLOSE:?}"),
    }
    Ok(())
}

async fn clean_up(shop: Shop, payment_time: Duration, stopped: watch::Receiver<bool>) {
    Janitor::new(shop.inventory.clone())
        .with_unpaid_after(payment_time)
        // Shoppers see the end of their time.
        .with_interval(Duration::from_secs(1))
        .run(ended(stopped))
        .await;
}

async fn ended(mut stopped: watch::Receiver<bool>) {
    // An error means that the sender is gone, which ends the program as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn print_addresses(address: SocketAddr, server: &Server) {
    println!("shop       http://{address}/");
    println!("dashboard  http://{address}/dashboard");
    println!("on {server}; Ctrl-C ends it.");
}

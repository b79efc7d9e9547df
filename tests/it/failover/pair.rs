//! A primary with a standby.

use optilock::sqlx::{self, PgPool, postgres::PgConnectOptions};
use support::{Crash, Durability, Server, database::Database, environment::Environment};
use tokio::task::block_in_place;

use crate::support::{
    db::{eventually, pool_options},
    proxy::Proxy,
    triggers::run,
};

/// Two servers of the test's own, and a proxy that relays connections to the one that accepts writes.
pub struct Pair {
    primary: Server,
    standby: Server,
    database: Database,
    pub proxy: Proxy,
    /// Bypasses the proxy.
    pub on_primary: PgPool,
    /// Bypasses the proxy.
    pub on_standby: PgPool,
}

impl Pair {
    /// Starts a primary with the crate's tables, and a standby that receives each commit soon after it.
    pub async fn asynchronous() -> Self {
        let environment = Environment {
            database_url: None,
            ..Environment::of_process()
        };
        let start = || Server::find_or_start_in(&environment, Durability::Fast);
        let primary = block_in_place(start).expect("a server of its own");
        let database = primary.create_database("failover").await.unwrap();
        let on_primary = connect(database.options()).await;
        optilock::migrate(&on_primary).await.unwrap();
        let standby = block_in_place(|| primary.start_standby()).expect("a standby of its own");
        let on_standby = connect(standby.options_of(database.name())).await;
        let proxy = Proxy::to(database.options()).await;
        Self {
            primary,
            standby,
            database,
            proxy,
            on_primary,
            on_standby,
        }
    }

    /// Starts a primary whose commits wait until the standby has stored them.
    pub async fn synchronous() -> Self {
        let pair = Self::asynchronous().await;
        pair.wait_for_standby().await;
        pair
    }

    /// Makes commits wait until the standby has stored them.
    async fn wait_for_standby(&self) {
        configure(&self.primary, "synchronous_standby_names", "*");
        let is_synchronous =
            "SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        until(
            &self.on_primary,
            "the standby is synchronous",
            is_synchronous,
        )
        .await;
    }

    /// Disconnects the standby: it has what it has received so far.
    pub async fn stop_receiving(&self) {
        configure(&self.standby, "primary_conninfo", "");
        let is_alone = "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)";
        until(&self.on_standby, "the standby receives nothing", is_alone).await;
    }

    /// Makes the standby show commits this long after the primary.
    pub fn delay_replay(&self, delay: &str) {
        configure(&self.standby, "recovery_min_apply_delay", delay);
    }

    /// Waits until the standby shows what the primary has committed.
    pub async fn catch_up(&self) {
        let now = "SELECT pg_current_wal_lsn()::text";
        let now: String = sqlx::query_scalar(now)
            .fetch_one(&self.on_primary)
            .await
            .unwrap();
        eventually("the standby has caught up", async || {
            sqlx::query_scalar("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn")
                .bind(&now)
                .fetch_one(&self.on_standby)
                .await
                .unwrap()
        })
        .await;
    }

    /// Returns the number of commits that wait for the standby.
    pub async fn waiting_commits(&self) -> usize {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        let waiting = sqlx::query_scalar(waiting).fetch_one(&self.on_primary);
        let waiting: i64 = waiting.await.unwrap();
        usize::try_from(waiting).unwrap()
    }

    pub async fn until_commits_wait(&self, commits: usize) {
        eventually("the commits wait for the standby", async || {
            self.waiting_commits().await == commits
        })
        .await;
    }

    /// Ends the wait of every commit that waits for the standby, by `pg_terminate_backend` or `pg_cancel_backend`.
    /// PostgreSQL has committed on the primary only.
    pub async fn end_waits(&self, function: &str) {
        let end =
            format!("SELECT {function}(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        run(&self.on_primary, end).await;
    }

    /// Kills the primary, promotes the standby, and relays new connections to it.
    pub async fn fail_over(&mut self, crash: Crash) {
        block_in_place(|| self.primary.crash(crash)).unwrap();
        block_in_place(|| self.standby.promote()).unwrap();
        self.proxy
            .switch(self.standby.options_of(self.database.name()));
    }

    /// Makes the promoted standby a primary with a synchronous standby of its own.
    pub async fn replace_standby(&mut self) {
        let standby = block_in_place(|| self.standby.start_standby()).unwrap();
        self.primary = std::mem::replace(&mut self.standby, standby);
        let on_standby = connect(self.standby.options_of(self.database.name())).await;
        self.on_primary = std::mem::replace(&mut self.on_standby, on_standby);
        self.wait_for_standby().await;
    }
}

/// Waits until a query answers `true`.
pub async fn until(pool: &PgPool, what: &str, query: &'static str) {
    eventually(what, async || {
        sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
    })
    .await;
}

fn configure(server: &Server, setting: &str, value: &str) {
    block_in_place(|| server.configure(setting, value)).unwrap();
}

async fn connect(options: PgConnectOptions) -> PgPool {
    let connected = pool_options(4).connect_with(options).await;
    connected.expect("a connection to the server")
}

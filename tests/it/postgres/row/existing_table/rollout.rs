//! Every file of the page beside a transaction that is open, readers and writers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use optilock::sqlx::{self, Connection, PgConnection};
use tokio::{
    task::{JoinSet, LocalSet, spawn_local},
    time::timeout,
};

use super::{Account, migrate, page, page::Folder, table};
use crate::support::db::{Db, assert_idle, eventually};
use optilock::{Version, postgres::PgRepository};

/// What a migration does while a transaction that wrote the table is open.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Behind {
    /// Fails, and runs after the transaction.
    GivesUp,
    /// Waits for the transaction, and nobody waits for the migration.
    Waits,
    Runs,
}

const BEHIND: [Behind; 7] = [
    Behind::GivesUp,
    Behind::GivesUp,
    Behind::Runs,
    Behind::Waits,
    Behind::Runs,
    Behind::GivesUp,
    Behind::GivesUp,
];

/// A reader and a writer of other rows, which wait for a lock for 300 ms at most.
struct Traffic {
    rounds: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Result<(), sqlx::Error>>,
}

impl Traffic {
    async fn start(db: &Db) -> Self {
        let (rounds, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let mut tasks = JoinSet::new();
        for statement in [
            "SELECT owner FROM shop.accounts WHERE id = 2",
            "UPDATE shop.accounts SET cents = cents + 1 WHERE id = 3",
        ] {
            let options = db.database.options().options([("lock_timeout", "300ms")]);
            let mut conn = PgConnection::connect_with(&options).await.unwrap();
            let (rounds, stop) = (rounds.clone(), stop.clone());
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    sqlx::query(statement).execute(&mut conn).await?;
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
                conn.close().await
            });
        }
        Self {
            rounds,
            stop,
            tasks,
        }
    }

    fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        for result in self.tasks.join_all().await {
            result.expect("no reader and no writer waits for a migration");
        }
    }
}

async fn migration_waits(db: &Db) -> bool {
    const WAITS: &str =
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'migration' AND wait_event_type = 'Lock'";
    sqlx::query_scalar(WAITS).fetch_one(&db.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_and_writers_never_wait_for_a_migration() {
    LocalSet::new().run_until(roll_out()).await;
}

async fn roll_out() {
    let db = table(50_000).await;
    let file = "SELECT pg_relation_filenode('shop.accounts')::bigint";
    let before: i64 = sqlx::query_scalar(file).fetch_one(&db.pool).await.unwrap();
    let options = db.database.options().application_name("migration");
    let accounts = PgRepository::<Account>::new(db.pool.clone());
    let traffic = Traffic::start(&db).await;

    let folder = Folder::new();
    for (number, ((name, sql), behind)) in page::files().into_iter().zip(BEHIND).enumerate() {
        println!("{name}: {behind:?}");
        folder.write(name, sql);
        let mut writer = db.pool.begin().await.unwrap();
        sqlx::query("UPDATE shop.accounts SET cents = 7 WHERE id = 1")
            .execute(&mut *writer)
            .await
            .unwrap();
        let (options, migrator) = (options.clone(), folder.migrator().await);
        let migration = spawn_local(async move { migrate(&options, &migrator).await });
        if behind == Behind::Runs {
            eventually(name, async || migration.is_finished()).await;
        } else {
            eventually(name, async || migration_waits(&db).await).await;
            let seen = traffic.rounds();
            eventually(name, async || traffic.rounds() > seen + 20).await;
            if behind == Behind::GivesUp {
                eventually(name, async || !migration_waits(&db).await).await;
            }
            assert!(!migration.is_finished());
        }
        writer.commit().await.unwrap();
        let migrated = timeout(Duration::from_secs(60), migration).await;
        migrated.expect(name).unwrap().expect(name);
        if number >= 4 {
            accounts.verify().await.unwrap();
        }
    }
    traffic.stop().await;

    let after: i64 = sqlx::query_scalar(file).fetch_one(&db.pool).await.unwrap();
    assert_eq!(before, after, "the table was rewritten");
    let read = accounts.get(&4).await.unwrap();
    assert_eq!(read.version, Version::FIRST);
    accounts.update(&read).await.unwrap();
    let zero = "UPDATE shop.accounts SET version = 0 WHERE id = 3";
    assert!(sqlx::query(zero).execute(&db.pool).await.is_err());
    assert_idle(&db.pool).await;
}

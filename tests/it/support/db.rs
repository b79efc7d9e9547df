//! A database per test, and its books.

use std::sync::OnceLock;

use optilock::{
    inventory::{Inventory, PgInventory},
    postgres::PoolOptions,
    sqlx::{self, AssertSqlSafe, Executor, PgPool},
};
use tokio::sync::OnceCell;

use support::{Durability, Server, Source, database::Database};

pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        Server::find_or_start(Durability::Fast).expect("these tests need a PostgreSQL server")
    })
}

/// The session's default isolation level, as a host may have set it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Default {
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

impl Default {
    pub const fn sql(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read committed",
            Self::RepeatableRead => "repeatable read",
            Self::Serializable => "serializable",
        }
    }
}

/// A database of one test's own, gone when it is dropped.
#[derive(Debug)]
pub struct Db {
    pub pool: PgPool,
    pub database: Database,
}

impl Db {
    /// With the crate's tables.
    pub async fn new() -> Self {
        Self::with(Default::ReadCommitted, 16).await
    }

    pub async fn with(default: Default, connections: u32) -> Self {
        let database = match server().source() {
            Source::Throwaway => {
                let template = template().await;
                server().create_database_from("test", template).await
            }
            // A template would stay behind on somebody's server.
            Source::Url => server().create_database("test").await,
        };
        let db = Self::on(
            database.expect("a database of our own"),
            default,
            connections,
        )
        .await;
        optilock::migrate(&db.pool).await.expect("migrations apply");
        db
    }

    /// Without the crate's tables.
    pub async fn empty() -> Self {
        Self::empty_with(Default::ReadCommitted, 16).await
    }

    pub async fn empty_with(default: Default, connections: u32) -> Self {
        let database = server().create_database("test").await;
        Self::on(
            database.expect("a database of our own"),
            default,
            connections,
        )
        .await
    }

    async fn on(database: Database, default: Default, connections: u32) -> Self {
        let pool = pool_options(connections)
            .connect_with(
                database
                    .options()
                    // An unqualified name in any statement of the crate fails loudly.
                    .options([
                        ("search_path", ""),
                        ("default_transaction_isolation", default.sql()),
                    ]),
            )
            .await
            .expect("a connection to our own database");
        Self { pool, database }
    }
}

pub fn pool_options(connections: u32) -> PoolOptions {
    optilock::postgres::pool_options()
        .max_connections(connections)
        // Two cores and many tests at once: waiting is no failure here.
        .acquire_timeout(std::time::Duration::from_secs(30))
}

/// A role of the test's own, which may log in by the password `secret`; it and its grants are gone at
/// the end.
pub async fn with_role<T>(pool: &PgPool, work: impl AsyncFnOnce(&str) -> T) -> T {
    let role = format!("optilock_role_{:016x}", rand::random::<u64>());
    let run = async |sql: String| pool.execute(AssertSqlSafe(sql)).await.unwrap();
    run(format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'")).await;
    let result = work(&role).await;
    run(format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    result
}

/// A database with the crate's tables, to copy from: quicker than migrating each test's own.
async fn template() -> &'static Database {
    static TEMPLATE: OnceCell<Database> = OnceCell::const_new();
    TEMPLATE
        .get_or_init(async || {
            let database = server()
                .create_database("template")
                .await
                .expect("a database of our own");
            let pool = PgPool::connect_with(database.options())
                .await
                .expect("a connection to it");
            optilock::migrate(&pool).await.expect("migrations apply");
            pool.close().await;
            database
        })
        .await
}

/// Every invariant of the shop, and that nothing was left behind on the server.
pub async fn assert_books(pool: &PgPool) {
    assert_quiet(pool).await;
    let audit = PgInventory::new(pool.clone()).audit().await;
    let audit = audit.expect("the books can be read");
    assert!(audit.is_clean(), "{audit}");
}

/// Nobody works any more, is left idle in a transaction, or holds a lock.
pub async fn assert_quiet(pool: &PgPool) {
    let query = "SELECT count(*) FROM pg_stat_activity a LEFT JOIN pg_locks l ON l.pid = a.pid
             AND (l.locktype = 'advisory' OR l.relation IN (SELECT oid FROM pg_class WHERE relnamespace
                 = to_regnamespace('optilock')))
         WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
             AND (a.state = 'active' AND a.backend_type = 'client backend'
                 OR a.state LIKE 'idle in transaction%' OR l.pid IS NOT NULL)";
    // What a released connection still has to say travels by itself: ask until it has arrived.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let left: i64 = sqlx::query_scalar(query)
            .fetch_one(pool)
            .await
            .expect("the server can be asked");
        if left == 0 {
            return;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{left} sessions in transactions or locks left"
        );
        tokio::task::yield_now().await;
    }
}

/// Asks until it is so, for ten seconds at most.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !is_so().await {
        assert!(std::time::Instant::now() < deadline, "never so: {what}");
        tokio::task::yield_now().await;
    }
}

/// How many deadlocks the server found in this database.
pub async fn deadlocks(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        .fetch_one(pool)
        .await
        .expect("the statistics can be read")
}

/// The orders in the database, void ones aside.
pub async fn order_count(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM optilock.orders WHERE status <> 4")
        .fetch_one(pool)
        .await
        .expect("orders can be counted")
}

/// A guide page's blocks of SQL, in order.
pub fn sql_of<const N: usize>(page: &'static str) -> [&'static str; N] {
    let blocks = page.split("```sql\n").skip(1);
    let blocks: Vec<&str> = blocks.filter_map(|it| it.split("```").next()).collect();
    blocks.try_into().expect("so many blocks of SQL")
}

/// Takes the checks of products away, and that of the ledger's stock, as only somebody else could.
pub async fn drop_checks(pool: &PgPool) {
    let drop = "DO $$ DECLARE name text; BEGIN
             FOR name IN SELECT conname FROM pg_constraint
                 WHERE conrelid = 'optilock.products'::regclass AND contype = 'c'
             LOOP EXECUTE format('ALTER TABLE optilock.products DROP CONSTRAINT %I', name); END LOOP;
         END $$;
         ALTER TABLE optilock.movements DROP CONSTRAINT movements_stock_after_check";
    sqlx::raw_sql(drop)
        .execute(pool)
        .await
        .expect("an owner may");
}

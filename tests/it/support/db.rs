//! A database per test, and assertions on its state.

use std::sync::OnceLock;

use optilock::{
    inventory::{Inventory, PgInventory},
    postgres::PoolOptions,
    sqlx::{self, AssertSqlSafe, Executor, PgConnection, PgPool},
};
use tokio::sync::OnceCell;

use support::{Durability, Server, Source, database::Database};

/// Returns the server of all tests; starts it if `DATABASE_URL` names none.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        Server::find_or_start(Durability::Fast).expect("these tests need a PostgreSQL server")
    })
}

/// A session's default isolation level, as a host can set it.
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

/// A database for one test. Dropping it drops the database.
#[derive(Debug)]
pub struct Db {
    pub pool: PgPool,
    pub database: Database,
}

impl Db {
    /// Creates a database with the crate's tables.
    pub async fn new() -> Self {
        Self::with(Default::ReadCommitted, 16).await
    }

    /// Creates the same with a default isolation level and a size of its pool.
    pub async fn with(default: Default, connections: u32) -> Self {
        let database = match server().source() {
            Source::Throwaway => {
                let template = template().await;
                server().create_database_from("test", template).await
            }
            // A template would stay behind on a server that is not the tests' own.
            Source::Url => server().create_database("test").await,
        };
        let db = Self::on(
            database.expect("a database for the test"),
            default,
            connections,
        )
        .await;
        optilock::migrate(&db.pool).await.expect("migrations apply");
        db
    }

    /// Creates a database without the crate's tables.
    pub async fn empty() -> Self {
        Self::empty_with(Default::ReadCommitted, 16).await
    }

    /// Creates the same with a default isolation level and a size of its pool.
    pub async fn empty_with(default: Default, connections: u32) -> Self {
        let database = server().create_database("test").await;
        Self::on(
            database.expect("a database for the test"),
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
            .expect("a connection to the test's database");
        Self { pool, database }
    }
}

/// Returns the crate's pool options with a limit of connections and patience for a busy machine.
pub fn pool_options(connections: u32) -> PoolOptions {
    optilock::postgres::pool_options()
        .max_connections(connections)
        // Many tests share two cores, so a long wait is no failure.
        .acquire_timeout(std::time::Duration::from_secs(30))
}

/// Runs `work` with a new role that can log in with the password `secret`; then drops the role and its grants.
pub async fn with_role<T>(pool: &PgPool, work: impl AsyncFnOnce(&str) -> T) -> T {
    let role = format!("optilock_role_{:016x}", rand::random::<u64>());
    let run = async |sql: String| pool.execute(AssertSqlSafe(sql)).await.unwrap();
    run(format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'")).await;
    let result = work(&role).await;
    run(format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    result
}

/// Returns a migrated database to copy from. Copying is faster than migrating a database per test.
async fn template() -> &'static Database {
    static TEMPLATE: OnceCell<Database> = OnceCell::const_new();
    TEMPLATE
        .get_or_init(async || {
            let database = server()
                .create_database("template")
                .await
                .expect("a database for the test");
            let pool = PgPool::connect_with(database.options())
                .await
                .expect("a connection to it");
            optilock::migrate(&pool).await.expect("migrations apply");
            pool.close().await;
            database
        })
        .await
}

/// Asserts that the audit finds no discrepancy and that no session is left in a transaction or with a lock.
pub async fn assert_balanced(pool: &PgPool) {
    assert_balanced_in(pool, "optilock").await;
}

/// Asserts the same of the tables in a schema.
pub async fn assert_balanced_in(pool: &PgPool, schema: &str) {
    assert_idle(pool).await;
    let inventory = PgInventory::new(pool.clone()).in_schema(schema);
    let audit = inventory.expect("the name of a schema").audit().await;
    let audit = audit.expect("the audit can run");
    assert!(audit.is_clean(), "{audit}");
}

/// Asserts that, within ten seconds, no session runs a statement, is in a transaction or holds a lock.
pub async fn assert_idle(pool: &PgPool) {
    let query = "SELECT count(*) FROM pg_stat_activity a LEFT JOIN pg_locks l ON l.pid = a.pid
             AND (l.locktype = 'advisory' OR l.relation IN (SELECT oid FROM pg_class WHERE relnamespace
                 IN (to_regnamespace('optilock'), to_regnamespace('storefront'))))
         WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
             AND (a.state = 'active' AND a.backend_type = 'client backend'
                 OR a.state LIKE 'idle in transaction%' OR l.pid IS NOT NULL)";
    // A released connection may still be sending its last messages.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    loop {
        let left: i64 = sqlx::query_scalar(query)
            .fetch_one(pool)
            .await
            .expect("the sessions can be counted");
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

/// Waits until a condition holds, for ten seconds at most.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !condition().await {
        assert!(
            std::time::Instant::now() < deadline,
            "it did not come true: {what}"
        );
        tokio::task::yield_now().await;
    }
}

/// Returns the number of deadlocks that the server found in this database.
pub async fn deadlocks(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        .fetch_one(pool)
        .await
        .expect("the statistics can be read")
}

/// Returns the number of orders in the database, without void ones.
pub async fn order_count(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM optilock.orders WHERE status <> 4")
        .fetch_one(pool)
        .await
        .expect("orders can be counted")
}

/// Returns the SQL blocks of a guide page, in order.
pub fn sql_of<const N: usize>(page: &'static str) -> [&'static str; N] {
    let blocks = page.split("```sql\n").skip(1);
    let blocks: Vec<&str> = blocks.filter_map(|it| it.split("```").next()).collect();
    blocks
        .try_into()
        .expect("the page has this number of SQL blocks")
}

/// Drops the CHECK constraints of products and of the ledger's stock, as only an owner of the tables can.
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
        .expect("the owner can drop constraints");
}

/// Returns the process id of a connection's backend.
pub async fn backend_pid(conn: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(conn)
        .await
}

/// Terminates a backend and waits until it is gone.
pub async fn terminate_backend(pool: &PgPool, pid: i32) {
    sqlx::query("SELECT pg_terminate_backend($1)")
        .bind(pid)
        .execute(pool)
        .await
        .unwrap();
    eventually("the backend has ended", async || {
        let ended = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
        sqlx::query_scalar(ended)
            .bind(pid)
            .fetch_one(pool)
            .await
            .unwrap()
    })
    .await;
}

/// Returns the number of sessions of this database that wait for a lock.
pub async fn sessions_waiting(pool: &PgPool) -> i64 {
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(WAITING).fetch_one(pool).await.unwrap()
}

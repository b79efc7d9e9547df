//! "Not done" means that nothing is stored, wherever the connection is cut.

use optilock::{
    Class, Classify, RetryError, Version,
    postgres::{Bulk, Error, PgRepository, Tx, transact},
    sqlx::{self, Connection, PgPool},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixStream, tcp::OwnedWriteHalf, unix::OwnedReadHalf},
};

use super::{ONCE, POLICY};
use crate::support::{
    bank::{Account, Bank, PLACES},
    db::{assert_idle, pool_options},
    notes::{note, notes, raw, with_notes},
    proxy::{Cut, Proxy},
};

const OPERATIONS: [&str; 10] = [
    "insert",
    "update",
    "compare_and_set",
    "delete",
    "touch",
    "update_all",
    "update_all missing",
    "modify",
    "modify locked",
    "update stale",
];

async fn stored(pool: &PgPool) -> Vec<(i64, String, i64, i64)> {
    sqlx::query_as("SELECT id, owner, cents, version FROM bank.accounts ORDER BY id")
        .fetch_all(pool)
        .await
        .unwrap()
}

/// Runs an operation and returns the class of its error.
async fn run(
    accounts: &PgRepository<Account>,
    operation: &str,
    one: &Account,
    two: &Account,
) -> Result<(), Class> {
    let add = |account: &mut Account| {
        account.cents += 1;
        Ok::<_, Error>(())
    };
    let modify = async |policy| {
        let modified = accounts.modify(policy, &1, add).await;
        modified.map(drop).map_err(|error| error.class())
    };
    let (plus_one, stale) = (
        one.plus(1),
        Account {
            version: Version::new(7).unwrap(),
            ..one.clone()
        },
    );
    let answer: Result<(), Error> = match operation {
        "insert" => accounts.insert(&Account::new(3, 1)).await.map(drop),
        "update" => accounts.update(&plus_one).await.map(drop),
        "update stale" => accounts.update(&stale).await.map(drop),
        "compare_and_set" => accounts.compare_and_set(&plus_one).await.map(drop),
        "delete" => accounts.delete(&1, one.version).await,
        "touch" => accounts.touch(&1, one.version).await.map(drop),
        "update_all" => accounts
            .update_all(&[plus_one, two.plus(1)], Bulk::AllOrNothing)
            .await
            .map(drop),
        "update_all missing" => accounts
            .update_all(&[plus_one, Account::new(9, 1)], Bulk::Each)
            .await
            .map(drop),
        "modify" => return modify(&ONCE).await,
        _ => return modify(&ONCE.with_locking_after(Some(0))).await,
    };
    answer.map_err(|error| error.class())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_on_rows_that_reports_not_done_has_stored_nothing() {
    let mut wrong = Vec::new();
    for place in PLACES {
        for operation in OPERATIONS {
            for cut in [Cut::Before, Cut::Reply] {
                for after in 0..6 {
                    let bank = Bank::open(place).await;
                    let one = bank.account(1, 100).await;
                    let two = bank.account(2, 100).await;
                    let proxy = Proxy::new(&bank.db).await;
                    let accounts = PgRepository::<Account>::new(proxy.pool(1).await);
                    let before = stored(&bank.pool).await;
                    proxy.trap_after(after, cut.clone());
                    let answer = run(&accounts, operation, &one, &two).await;
                    if proxy.disarm() {
                        break;
                    }
                    assert_idle(&bank.pool).await;
                    if let Err(class) = answer
                        && class != Class::Unknown
                        && stored(&bank.pool).await != before
                    {
                        wrong.push(format!(
                            "{place:?} {operation}, {cut:?} after {after}: {class}"
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What a transaction does between its first and its last note, and how many notes it commits.
const TRANSACTIONS: [(&str, usize); 4] = [
    ("nothing", 2),
    ("a savepoint", 3),
    ("a failed savepoint", 2),
    ("a nested transaction", 3),
];

async fn write_between(tx: &mut Tx<'_>, kind: &str) -> Result<(), sqlx::Error> {
    match kind {
        "nothing" => {}
        "a savepoint" => tx.savepoint(async |tx| note(tx, "two").await).await?,
        "a failed savepoint" => {
            let failed: Result<(), sqlx::Error> = tx
                .savepoint(async |tx| {
                    note(tx, "never").await?;
                    raw(tx, "SELECT 1/0").await
                })
                .await;
            failed.unwrap_err();
        }
        _ => {
            let mut nested = tx.begin().await?;
            note(&mut nested, "two").await?;
            nested.commit().await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_reports_not_done_has_stored_nothing() {
    let mut wrong = Vec::new();
    for (kind, whole) in TRANSACTIONS {
        for cut in [Cut::Before, Cut::Reply] {
            for after in 0..14 {
                let db = with_notes().await;
                let proxy = Proxy::new(&db).await;
                let pool = proxy.pool(1).await;
                proxy.trap_after(after, cut.clone());
                let ended: Result<(), RetryError<sqlx::Error>> =
                    transact(&pool, &POLICY, async |tx| {
                        note(tx, "one").await?;
                        write_between(tx, kind).await?;
                        note(tx, "three").await
                    })
                    .await;
                if proxy.disarm() {
                    break;
                }
                assert_idle(&db.pool).await;
                let stored = notes(&db.pool).await;
                let correct = match &ended {
                    Ok(()) => stored.len() == whole && !stored.contains(&"never".to_owned()),
                    Err(error) if error.class() == Class::Unknown => {
                        stored.is_empty() || stored.len() == whole
                    }
                    Err(_) => stored.is_empty(),
                };
                if !correct {
                    wrong.push(format!(
                        "{kind}, {cut:?} after {after}: {:?}, {stored:?}",
                        ended.map_err(|it| it.to_string())
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns an ErrorResponse as the server sends it if the disk of its log is full.
fn panic_of_a_full_disk() -> Vec<u8> {
    let mut fields = Vec::new();
    for field in [
        "SPANIC",
        "VPANIC",
        "C53100",
        "Mcould not write to file \"pg_wal/x\": No space left on device",
    ] {
        fields.extend_from_slice(field.as_bytes());
        fields.push(0);
    }
    fields.push(0);
    let mut message = vec![b'E'];
    message.extend(u32::try_from(fields.len() + 4).unwrap().to_be_bytes());
    message.extend(fields);
    message
}

/// Relays the server's answers; sends a PANIC in place of the answer to COMMIT and ends.
async fn relay_until_commit(mut from_server: OwnedReadHalf, mut to_client: OwnedWriteHalf) {
    let mut buffer = [0; 16_384];
    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
        if buffer[..read].windows(7).any(|it| it == b"COMMIT\0") {
            to_client.write_all(&panic_of_a_full_disk()).await.unwrap();
            return;
        }
        to_client.write_all(&buffer[..read]).await.unwrap();
    }
}

/// A disk that is full while the log is written is a PANIC of code 53100, and the commit may be in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_a_full_disk_at_commit_is_unknown() {
    let db = with_notes().await;
    let upstream = db.database.options();
    let Some(directory) = upstream.get_socket().cloned() else {
        return;
    };
    let path = directory.join(format!(".s.PGSQL.{}", upstream.get_port()));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = UnixStream::connect(&path).await.unwrap();
            let (mut from_client, to_client) = client.into_split();
            let (from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(relay_until_commit(from_server, to_client));
        }
    });
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .username(upstream.get_username())
        .database(upstream.get_database().unwrap())
        .host("127.0.0.1")
        .port(port)
        .ssl_mode(sqlx::postgres::PgSslMode::Disable);
    let pool = pool_options(1).connect_with(options).await.unwrap();
    let ended: Result<(), RetryError<sqlx::Error>> =
        transact(&pool, &POLICY, async |tx| note(tx, "stored").await).await;
    let (ended, stored) = (ended.unwrap_err(), notes(&db.pool).await);
    assert_eq!(
        (ended.class(), stored.len()),
        (Class::Unknown, 1),
        "{ended}"
    );
}

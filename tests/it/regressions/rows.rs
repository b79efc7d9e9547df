//! Rows and transactions whose wire is cut, triggers, and what a server counts.

use std::time::Duration;

use optilock::{
    Class, Classify, RetryError, RetryPolicy, Version,
    inventory::{BatchOptions, BatchedInventory, Inventory, PgInventory, Reserve},
    postgres::{Bulk, Error, Isolation, PgRepository, TransactOptions, transact, transact_with},
    sqlx::{self, Connection, Executor, PgPool},
};

use super::{note, notes, raw, with_notes};
use crate::{
    support::bank::{Account, Bank, PLACES},
    support::db::{Db, assert_quiet, eventually, pool_options},
    support::goods::{add, cart, sku, units},
    support::proxy::{Cut, Proxy},
};

const ONCE: RetryPolicy = RetryPolicy::new().with_max_attempts(1);

async fn stored(pool: &PgPool) -> Vec<(i64, String, i64, i64)> {
    sqlx::query_as("SELECT id, owner, cents, version FROM bank.accounts ORDER BY id")
        .fetch_all(pool)
        .await
        .unwrap()
}

/// "Not done" means that nothing is stored: for rows.
#[tokio::test(flavor = "multi_thread")]
async fn no_operation_on_rows_denies_what_it_stored_when_the_wire_is_cut() {
    let mut wrong = Vec::new();
    for place in PLACES {
        for operation in [
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
        ] {
            for cut in [Cut::Before, Cut::Reply] {
                for after in 0..6 {
                    let bank = Bank::open(place).await;
                    let one = bank.account(1, 100).await;
                    let two = bank.account(2, 100).await;
                    let proxy = Proxy::new(&bank.db).await;
                    let accounts = PgRepository::<Account>::new(proxy.pool(1).await);
                    let before = stored(&bank.pool).await;
                    let add = |it: &mut Account| {
                        it.cents += 1;
                        Ok::<_, Error>(())
                    };
                    let stale = Account {
                        version: Version::new(7).unwrap(),
                        ..one.clone()
                    };
                    proxy.trap_after(after, cut.clone());
                    let answer: Result<(), Class> = match operation {
                        "insert" => accounts
                            .insert(&Account::new(3, 1))
                            .await
                            .map(drop)
                            .map_err(|it| it.class()),
                        "update" => accounts
                            .update(&one.plus(1))
                            .await
                            .map(drop)
                            .map_err(|it| it.class()),
                        "update stale" => accounts
                            .update(&stale)
                            .await
                            .map(drop)
                            .map_err(|it| it.class()),
                        "compare_and_set" => accounts
                            .compare_and_set(&one.plus(1))
                            .await
                            .map(drop)
                            .map_err(|it| it.class()),
                        "delete" => accounts
                            .delete(&1, one.version)
                            .await
                            .map_err(|it| it.class()),
                        "touch" => accounts
                            .touch(&1, one.version)
                            .await
                            .map(drop)
                            .map_err(|it| it.class()),
                        "update_all" => accounts
                            .update_all(&[one.plus(1), two.plus(1)], Bulk::AllOrNothing)
                            .await
                            .map(drop)
                            .map_err(|it| it.class()),
                        "update_all missing" => accounts
                            .update_all(&[one.plus(1), Account::new(9, 1)], Bulk::Each)
                            .await
                            .map(drop)
                            .map_err(|it| it.class()),
                        "modify" => accounts
                            .modify(&ONCE, &1, add)
                            .await
                            .map(drop)
                            .map_err(|it| it.class()),
                        _ => accounts
                            .modify(&ONCE.with_locking_after(Some(0)), &1, add)
                            .await
                            .map(drop)
                            .map_err(|it| it.class()),
                    };
                    if proxy.disarm() {
                        break;
                    }
                    assert_quiet(&bank.pool).await;
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

/// The same for transactions: with savepoints, one that fails, one that ends by an error.
#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_denies_what_it_stored_when_the_wire_is_cut() {
    let mut wrong = Vec::new();
    for kind in 0..4 {
        for cut in [Cut::Before, Cut::Reply] {
            for after in 0..14 {
                let db = with_notes().await;
                let proxy = Proxy::new(&db).await;
                let pool = proxy.pool(1).await;
                proxy.trap_after(after, cut.clone());
                let policy = RetryPolicy::new().with_base_delay(Duration::from_millis(1));
                let ended: Result<(), RetryError<sqlx::Error>> =
                    transact(&pool, &policy, async |tx| {
                        note(tx, "one").await?;
                        match kind {
                            0 => {}
                            1 => tx.savepoint(async |tx| note(tx, "two").await).await?,
                            2 => {
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
                        note(tx, "three").await
                    })
                    .await;
                if proxy.disarm() {
                    break;
                }
                assert_quiet(&db.pool).await;
                let (stored, whole) = (notes(&db.pool).await, if kind % 2 == 0 { 2 } else { 3 });
                let right = match &ended {
                    Ok(()) => stored.len() == whole && !stored.contains(&"never".to_owned()),
                    Err(error) if error.class() == Class::Unknown => {
                        stored.is_empty() || stored.len() == whole
                    }
                    Err(_) => stored.is_empty(),
                };
                if !right {
                    wrong.push(format!(
                        "kind {kind}, {cut:?} after {after}: {:?}, {stored:?}",
                        ended.map_err(|it| it.to_string())
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The batching inventory.
#[tokio::test(flavor = "multi_thread")]
async fn no_batch_denies_what_it_stored_when_the_wire_is_cut() {
    let mut wrong = Vec::new();
    for operation in ["checkout", "cancel", "mark_paid"] {
        for cut in [Cut::Before, Cut::Reply] {
            for after in 0..6 {
                let db = Db::new().await;
                let direct = PgInventory::new(db.pool.clone());
                add(&direct, "pot", 50).await;
                let order = direct.checkout(cart(&[("pot", 2)])).await.unwrap().id;
                let proxy = Proxy::new(&db).await;
                let shop = PgInventory::new(proxy.pool(1).await).with_policy(ONCE);
                let shop = BatchedInventory::new(shop, BatchOptions::new());
                let fingerprint = async || -> (i64, i64) {
                    sqlx::query_as("SELECT (SELECT count(*) FROM optilock.orders WHERE status <> 4), (SELECT sum(version)::bigint FROM optilock.orders)")
                        .fetch_one(&db.pool)
                        .await
                        .unwrap()
                };
                let before = fingerprint().await;
                proxy.trap_after(after, cut.clone());
                let answer = match operation {
                    "checkout" => shop.checkout(cart(&[("pot", 1)])).await,
                    "cancel" => shop.cancel(order, "no").await,
                    _ => shop.mark_paid(order).await,
                };
                if proxy.disarm() {
                    break;
                }
                assert_quiet(&db.pool).await;
                if let Err(error) = answer
                    && !error.is_unknown()
                    && fingerprint().await != before
                {
                    wrong.push(format!(
                        "{operation}, {cut:?} after {after}: {error} {:?}",
                        error.code()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// No `xact_rollback` for a committed transaction, of whatever kind.
#[tokio::test(flavor = "multi_thread")]
async fn committed_transactions_of_every_kind_count_no_rollback() {
    let bank = Bank::open(PLACES[0]).await;
    bank.account(1, 100).await;
    let figures = async || -> (i64, i64) {
        sqlx::query_as("SELECT xact_commit, xact_rollback FROM pg_stat_database WHERE datname = current_database()")
            .fetch_one(&bank.pool)
            .await
            .unwrap()
    };
    let mut wrong = Vec::new();
    for kind in [
        "read only",
        "serializable",
        "empty",
        "savepoint",
        "failed savepoint",
        "verify",
        "verify_in",
        "modify locked",
        "update_all",
        "nested",
    ] {
        let before = figures().await;
        let pool = pool_options(1)
            .connect_with(bank.db.database.options())
            .await
            .unwrap();
        let accounts = PgRepository::<Account>::new(pool.clone());
        for _ in 0..20 {
            let options = match kind {
                "read only" => TransactOptions::new().with_read_only(true),
                "serializable" => TransactOptions::new().with_isolation(Isolation::Serializable),
                _ => TransactOptions::new(),
            };
            let ended: Result<(), Error> = match kind {
                "verify" => accounts.verify().await,
                "verify_in" => accounts.verify_in(&mut pool.acquire().await.unwrap()).await,
                "modify locked" => accounts
                    .modify(&ONCE.with_locking_after(Some(0)), &1, |it| {
                        it.cents += 1;
                        Ok::<_, Error>(())
                    })
                    .await
                    .map(drop)
                    .map_err(|it| it.error),
                "update_all" => {
                    let row = accounts.get(&1).await.unwrap();
                    accounts.update_all(&[row], Bulk::Each).await.map(drop)
                }
                _ => transact_with(&pool, &ONCE, &options, async |tx| {
                    match kind {
                        "empty" => {}
                        "savepoint" => {
                            tx.savepoint(async |tx| accounts.get_in(tx, &1).await.map(drop))
                                .await?
                        }
                        "failed savepoint" => drop(
                            tx.savepoint(async |tx| {
                                raw(tx, "SELECT 1/0").await.map_err(Error::from)
                            })
                            .await,
                        ),
                        "nested" => tx.begin().await?.commit().await?,
                        _ => drop(accounts.get_in(tx, &1).await?),
                    }
                    Ok(())
                })
                .await
                .map_err(|it: RetryError<Error>| it.error),
            };
            if let Err(error) = ended {
                wrong.push(format!("{kind}: {error}"));
            }
        }
        pool.close().await;
        eventually("counted", async || {
            figures().await.0 >= before.0 + 20 || figures().await.1 >= before.1 + 20
        })
        .await;
        let rolled_back = figures().await.1 - before.1;
        if rolled_back > 0 {
            wrong.push(format!("{kind}: {rolled_back} rollbacks counted of 20"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The cache: "The answer is never older than the last change through this value."
#[tokio::test(flavor = "multi_thread")]
async fn the_cache_does_not_show_what_a_busy_step_changed() {
    use optilock::cache::CachedStock;
    let db = Db::new().await;
    let direct = PgInventory::new(db.pool.clone());
    add(&direct, "pot", 10).await;
    let order = direct.checkout(cart(&[("pot", 4)])).await.unwrap().id;
    let proxy = Proxy::new(&db).await;
    let shop = CachedStock::new(PgInventory::new(proxy.pool(1).await).with_policy(ONCE));
    assert_eq!(shop.display(&sku("pot")).await.unwrap().shown(), 6);
    // It reads the order, and then writes.
    proxy.trap_after(1, Cut::Reply);
    let cancelled = shop.cancel(order, "no").await;
    assert_eq!(
        shop.display(&sku("pot")).await.unwrap().shown(),
        10,
        "{cancelled:?}"
    );
    proxy.trap_after(1, Cut::Before);
    let held = shop
        .reserve(Reserve::new([(sku("pot"), units(3))]).unwrap())
        .await;
    assert_eq!(
        shop.display(&sku("pot")).await.unwrap().shown(),
        7,
        "{held:?}"
    );
}

/// Anything FATAL or PANIC at COMMIT is Unknown. A disk that is full while the log is written
/// is a PANIC of code 53100, and the commit may be in the log.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_a_full_disk_at_commit_is_unknown() {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, UnixStream},
    };
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
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                let mut buffer = [0; 16_384];
                while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                    if buffer[..read].windows(7).any(|it| it == b"COMMIT\0") {
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
                        to_client.write_all(&message).await.unwrap();
                        return;
                    }
                    to_client.write_all(&buffer[..read]).await.unwrap();
                }
            });
        }
    });
    let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
        .username(upstream.get_username())
        .database(upstream.get_database().unwrap())
        .host("127.0.0.1")
        .port(port)
        .ssl_mode(sqlx::postgres::PgSslMode::Disable);
    let pool = pool_options(1).connect_with(options).await.unwrap();
    let ended: Result<(), RetryError<sqlx::Error>> = transact(
        &pool,
        &RetryPolicy::new().with_base_delay(Duration::from_millis(1)),
        async |tx| note(tx, "stored").await,
    )
    .await;
    let (ended, stored) = (ended.unwrap_err(), notes(&db.pool).await);
    assert_eq!(
        (ended.class(), stored.len()),
        (Class::Unknown, 1),
        "{ended}"
    );
}

/// A COPY, a stream and a pipeline of sqlx's that are dropped midway in an operation that goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_midway_inside_of_an_operation() {
    use std::{future::poll_fn, pin::pin, task::Poll};
    let mut wrong = Vec::new();
    for kind in [
        "copy in",
        "copy in on its way",
        "copy out",
        "fetch",
        "prepare",
        "execute",
    ] {
        let db = with_notes().await;
        let ended: Result<(), RetryError<sqlx::Error>> = transact(&db.pool, &ONCE, async |tx| {
            note(tx, "before").await?;
            match kind {
                "copy in" => {
                    let mut copy = tx
                        .copy_in_raw("COPY public.notes (text) FROM STDIN")
                        .await?;
                    copy.send(&b"copied\n"[..]).await?;
                    drop(copy);
                }
                "copy in on its way" => {
                    let mut copy = pin!(tx.copy_in_raw("COPY public.notes (text) FROM STDIN"));
                    poll_fn(|context| Poll::Ready(copy.as_mut().poll(context).is_ready())).await;
                }
                "copy out" => drop(
                    tx.copy_out_raw("COPY (SELECT generate_series(1, 100000)) TO STDOUT")
                        .await?,
                ),
                "fetch" => {
                    let mut rows = (&mut **tx).fetch("SELECT generate_series(1, 100000)");
                    poll_fn(|context| Poll::Ready(rows.as_mut().poll_next(context).is_ready()))
                        .await;
                }
                "prepare" => {
                    let sql = sqlx::SqlSafeStr::into_sql_str(
                        "SELECT text FROM public.notes WHERE id = $1",
                    );
                    let mut prepared = pin!((&mut **tx).prepare(sql));
                    poll_fn(|context| Poll::Ready(prepared.as_mut().poll(context).is_ready()))
                        .await;
                }
                _ => {
                    let mut insert = pin!(note(tx, "dropped"));
                    poll_fn(|context| Poll::Ready(insert.as_mut().poll(context).is_ready())).await;
                }
            }
            note(tx, "after").await
        })
        .await;
        let stored = notes(&db.pool).await;
        let whole = stored.first().is_some_and(|it| it == "before")
            && stored.last().is_some_and(|it| it == "after");
        let right = match &ended {
            Ok(()) => whole,
            Err(error) if error.class() == Class::Unknown => whole || stored.is_empty(),
            Err(_) => stored.is_empty(),
        };
        println!(
            "{kind}: {:?} {stored:?}",
            ended.as_ref().map_err(ToString::to_string)
        );
        assert_quiet(&db.pool).await;
        // The pool is as good as before.
        transact(&db.pool, &ONCE, async |tx| note(tx, "again").await)
            .await
            .unwrap();
        if !right {
            wrong.push(format!(
                "{kind}: {:?} {stored:?}",
                ended.map_err(|it| it.to_string())
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A deferred trigger that refuses at the end of a write that commits directly.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_alone_that_fails_at_its_commit_is_no_success() {
    for place in PLACES {
        let bank = Bank::open(place).await;
        let one = bank.account(1, 100).await;
        bank.run(
            "CREATE FUNCTION bank.no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no' USING ERRCODE = '23514'; END $$;
             CREATE CONSTRAINT TRIGGER no AFTER INSERT OR UPDATE OR DELETE ON bank.accounts DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW EXECUTE FUNCTION bank.no()",
        )
        .await;
        bank.accounts.update(&one.plus(1)).await.unwrap_err();
        bank.accounts.insert(&Account::new(2, 1)).await.unwrap_err();
        bank.accounts.touch(&1, one.version).await.unwrap_err();
        bank.accounts.delete(&1, one.version).await.unwrap_err();
        bank.accounts
            .update_all(&[one.plus(1)], Bulk::Each)
            .await
            .unwrap_err();
        let ended: Result<Account, RetryError<Error>> = transact(&bank.pool, &ONCE, async |tx| {
            bank.accounts.update_in(tx, &one.plus(1)).await
        })
        .await;
        ended.unwrap_err();
        assert_eq!(
            stored(&bank.pool).await,
            [(1, "owner 1".to_owned(), 100, 1)]
        );
    }
}

/// The mark of an assertion in the text of a host's own error: a trigger that refuses and quotes the value.
#[tokio::test(flavor = "multi_thread")]
async fn a_users_text_is_no_broken_assertion() {
    let bank = Bank::open(PLACES[0]).await;
    let (one, two) = (bank.account(1, 100).await, bank.account(2, 100).await);
    bank.run(
        "CREATE FUNCTION bank.no() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE 'owner % is refused', NEW.owner USING ERRCODE = '23514'; END $$;
         CREATE TRIGGER no BEFORE UPDATE ON bank.accounts FOR EACH ROW EXECUTE FUNCTION bank.no()",
    )
    .await;
    let named = |it: &Account, owner: &str| Account {
        owner: owner.to_owned(),
        ..it.clone()
    };
    let update = bank
        .accounts
        .update(&named(&one, "optilock.suppressed 1"))
        .await;
    let batch = bank
        .accounts
        .update_all(&[named(&one, "optilock.repeated 2"), two], Bulk::Each)
        .await;
    let right =
        matches!(update, Err(Error::Database(_))) && matches!(batch, Err(Error::Database(_)));
    assert!(right, "{update:?} {batch:?}");
}

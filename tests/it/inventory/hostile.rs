//! A role that owns nothing of the crate's creates functions and operators in `public` that fit the
//! arguments of the crate's statements better than those of `pg_catalog`. None of them is ever called.

use std::{collections::BTreeSet, fmt::Debug, fs, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use optilock::{
    RetryPolicy, Version,
    inventory::{
        Accepted, Adjustment, BatchOptions, BatchedInventory, BoxError, Checkout, Error,
        FeedPosition, Inventory, Line, OnAccepted, OrderFilter, OrderId, Page, PgInventory,
        Reserve, ReturnRequest, Strategy,
    },
    migrate,
    postgres::{self, Bulk, PgRepository},
    sqlx::{self, AssertSqlSafe, PgConnection, PgPool},
};

use crate::{
    support::bank::{Account, TABLE},
    support::db::{Db, pool_options, with_role},
    support::goods::{add, cart, new_product, pesos, sku, stock, units},
};

/// Types of the crate's columns, parameters and constants, and what their functions return.
const TYPES: [&str; 18] = [
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "numeric",
    "double precision",
    "text",
    "varchar",
    "name",
    "uuid",
    "timestamptz",
    "interval",
    "bytea",
    "oid",
    "xid8",
    "text[]",
    "bigint[]",
    "uuid[]",
];

const OPERATORS: [&str; 15] = [
    "=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "||", "~", "~~", "@>",
];

/// Every name that a source file of the crate has before a parenthesis.
fn called(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            called(&path, names);
        } else if path.extension().is_some_and(|it| it == "rs" || it == "sql") {
            let text = fs::read_to_string(&path).unwrap();
            for (at, _) in text.match_indices('(') {
                let name: Vec<char> = text[..at]
                    .chars()
                    .rev()
                    .take_while(|it| it.is_ascii_lowercase() || *it == '_' || it.is_ascii_digit())
                    .collect();
                if !name.is_empty() {
                    names.insert(name.into_iter().rev().collect());
                }
            }
        }
    }
}

/// What the hostile role makes, as that role.
async fn plant(pool: &PgPool, names: &[String]) -> i64 {
    let quoted = |list: &[&str]| {
        let list: Vec<String> = list.iter().map(|it| format!("'{it}'")).collect();
        format!("ARRAY[{}]", list.join(", "))
    };
    let (types, operators) = (quoted(&TYPES), quoted(&OPERATORS));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let names = quoted(&names);
    // Volatile, so that none is called when a statement is planned.
    let plant = format!(
        "DO $do$
        DECLARE
            types text[] := {types};
            a text; b text; it text;
            body text := 'BEGIN RAISE EXCEPTION ''hostile code was called''; END';
        BEGIN
            FOREACH a IN ARRAY types LOOP
                EXECUTE format('CREATE FUNCTION public.hostile(%s) RETURNS boolean LANGUAGE plpgsql AS %L', a, body);
                EXECUTE format('CREATE OPERATOR public.- (RIGHTARG = %s, FUNCTION = public.hostile)', a);
                FOREACH b IN ARRAY types LOOP
                    EXECUTE format('CREATE FUNCTION public.hostile(%s, %s) RETURNS boolean LANGUAGE plpgsql AS %L', a, b, body);
                    FOREACH it IN ARRAY {operators} LOOP
                        EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.hostile)', it, a, b);
                    END LOOP;
                END LOOP;
            END LOOP;
            FOREACH it IN ARRAY {names}::text[] LOOP
                FOREACH a IN ARRAY types || ARRAY['anyelement', 'VARIADIC anyarray', 'text, text, boolean',
                        'anyarray, integer', 'anyelement, anyelement', 'anyelement, anyelement, anyelement'] LOOP
                    BEGIN
                        EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS bigint LANGUAGE plpgsql AS %L', it, a, body);
                    EXCEPTION WHEN duplicate_function THEN NULL;
                    END;
                END LOOP;
                FOREACH a IN ARRAY types LOOP
                    FOREACH b IN ARRAY types LOOP
                        EXECUTE format('CREATE FUNCTION public.%I(%s, %s) RETURNS bigint LANGUAGE plpgsql AS %L', it, a, b, body);
                    END LOOP;
                END LOOP;
            END LOOP;
        END $do$"
    );
    sqlx::raw_sql(AssertSqlSafe(plant))
        .execute(pool)
        .await
        .unwrap();
    let count = "SELECT count(*) FROM pg_catalog.pg_proc WHERE pronamespace = 'public'::pg_catalog.regnamespace";
    sqlx::query_scalar(count).fetch_one(pool).await.unwrap()
}

/// Two roles in an empty database: the application's, with the search path that PostgreSQL has by default, and
/// the hostile one, which has made what it can.
async fn among_hostile_code<T>(work: impl AsyncFnOnce(&Db, PgPool) -> T) -> T {
    let db = Db::empty().await;
    let mut names = BTreeSet::new();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for folder in ["src/postgres", "src/inventory/postgres", "migrations"] {
        called(&root.join(folder), &mut names);
    }
    // Those of them that are functions of SQL's.
    let names: Vec<String> = names.into_iter().collect();
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT proname::text FROM pg_catalog.pg_proc
         WHERE pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND proname::text = ANY ($1) ORDER BY 1",
    )
    .bind(&names)
    .fetch_all(&db.pool)
    .await
    .unwrap();
    assert!(
        names.len() > 15 && names.contains(&"unnest".to_owned()),
        "{names:?}"
    );
    with_role(&db.pool, async |hostile| {
        with_role(&db.pool, async |application| {
            let grants = format!(
                "GRANT CREATE, USAGE ON SCHEMA public TO {hostile};
                 GRANT USAGE ON SCHEMA public TO {application};
                 CREATE SCHEMA optilock AUTHORIZATION {application};
                 {TABLE};
                 GRANT USAGE ON SCHEMA bank TO {application};
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA bank TO {application}"
            );
            sqlx::raw_sql(AssertSqlSafe(grants))
                .execute(&db.pool)
                .await
                .unwrap();
            let as_role = async |role: &str, search_path: &str, connections| {
                let options = db.database.options().username(role).password("secret");
                let options = options.options([("search_path", search_path)]);
                pool_options(connections)
                    .connect_with(options)
                    .await
                    .unwrap()
            };
            // It meets nothing of its own while it plants.
            let pool = as_role(hostile, "", 1).await;
            let made = plant(&pool, &names).await;
            println!("{made} hostile functions for {} names", names.len());
            pool.close().await;
            let pool = as_role(application, "\"$user\", public", 8).await;
            let result = work(&db, pool.clone()).await;
            pool.close().await;
            result
        })
        .await
    })
    .await
}

/// What failed for another reason than its own.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    /// A refusal that the inventory means is no failure.
    fn note<T: Debug>(&mut self, operation: &str, answer: Result<T, Error>) {
        if let Err(error) = answer {
            let meant = error.as_sqlx().is_none()
                && !error.is_unknown()
                && !error.is_busy()
                && !["suppressed", "invalid", "hook", "exhausted"].contains(&error.code());
            if !meant {
                let why = error.as_sqlx().map(ToString::to_string);
                let failed = format!("{operation}: {}", why.unwrap_or(format!("{error:?}")));
                if self.0.last() != Some(&failed) {
                    self.0.push(failed);
                }
            }
        }
    }

    fn note_row<T>(&mut self, operation: &str, answer: Result<T, postgres::Error>) {
        if let Err(error) = answer {
            // Not the crate's: sqlx's own question for the columns of a prepared statement.
            let of_sqlx = "array_agg(record) is not unique";
            if !error.to_string().contains(of_sqlx) {
                self.0.push(format!("rows: {operation}: {error:?}"));
            }
        }
    }
}

struct Idle;

#[async_trait]
impl OnAccepted for Idle {
    async fn on_accepted(&self, _: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Every operation with what makes it ask further: a shortage, a conflict, a hold that has expired, a key, a
/// replay. What they need is made by `direct`, whose sessions see no hostile code.
async fn everything(
    which: &str,
    shop: &dyn Inventory,
    direct: &PgInventory,
    pool: &PgPool,
    failures: &mut Failures,
) {
    let name = |product: &str| format!("{which} {product}");
    let (one, two, gone) = (name("one"), name("two"), name("gone"));
    for product in [&one, &two] {
        add(direct, product, 1_000).await;
    }
    let retired = add(direct, &gone, 5).await;
    direct
        .retire_product(&retired.sku, retired.version)
        .await
        .unwrap();
    let both = || cart(&[(&one, 1), (&two, 1)]);
    let single = || cart(&[(&one, 1)]);
    let short = |quantity| cart(&[(&one, quantity)]);
    let version = async |product: &str| direct.product(&sku(product)).await.unwrap().version;
    // Holds of all that is there, expired.
    let expired = async |product: &str| {
        direct.cleanup_reservations().await.unwrap();
        let more = Adjustment::new(sku(product), 10, "delivery").unwrap();
        let left = direct.adjust_stock(more).await.unwrap().available();
        let held = Reserve::new([(sku(product), units(left))]).unwrap();
        let held = direct.reserve(held).await.unwrap();
        let past = "UPDATE optilock.holds SET expires_at = expires_at - interval '1 hour' WHERE reservation_id = $1";
        sqlx::query(past)
            .bind(held.id.uuid())
            .execute(pool)
            .await
            .unwrap();
        held.id
    };
    macro_rules! note {
        ($($operation:literal: $call:expr;)*) => {$(
            failures.note(&format!("{which}: {}", $operation), $call.await);
        )*};
    }
    note! {
        "add": shop.add_product(new_product(&name("new"), 5));
        "add again": shop.add_product(new_product(&name("new"), 5));
        "add a retired one": shop.add_product(new_product(&gone, 5));
        "product": shop.product(&sku(&one));
        "products": shop.products(Page::first(5));
        "products after": shop.products(Page::after(sku(&one), 5));
        "products of": shop.products_of(&[sku(&one), sku(&two)]);
        "product at": shop.product_at(&sku(&one), Version::FIRST);
        "edit": shop.update_product(&direct.product(&sku(&one)).await.unwrap());
        "pause": shop.pause(&sku(&one));
        "pause again": shop.pause(&sku(&one));
        "checkout of a paused one": shop.checkout(single());
        "resume": shop.resume(&sku(&one));
        "adjust": shop.adjust_stock(Adjustment::new(sku(&one), 1, "x").unwrap());
        "adjust by too much": shop.adjust_stock(Adjustment::new(sku(&one), -5_000, "x").unwrap());
        "count": shop.count_stock(&sku(&two), version(&two).await, stock(990), "x");
        "count at another version": shop.count_stock(&sku(&two), Version::FIRST, stock(990), "x");
        "retire": shop.retire_product(&sku(&name("new")), version(&name("new")).await);
        "movements": shop.movements(&sku(&one), Page::first(5));
        "report": shop.report(Duration::from_secs(60));
        "audit": shop.audit();
    }
    let replayed = single().with_customer("ana").with_idempotency_key("k");
    let again = single().with_customer("ana").with_idempotency_key("k");
    let many = both().with_customer("ana").with_idempotency_key("m");
    let pinned = |product: &str, at| {
        let line = Line::new(sku(product), units(1)).expecting_version(at);
        Checkout::new([line.expecting_price(pesos(1_000))]).unwrap()
    };
    note! {
        "checkout": shop.checkout(single());
        "checkout of two": shop.checkout(both());
        "checkout with a key": shop.checkout(replayed.clone());
        "checkout again": shop.checkout(replayed);
        "checkout with its key again": shop.checkout(again);
        "checkout of two with a key": shop.checkout(many.clone());
        "checkout of two again": shop.checkout(many);
        "checkout of too many": shop.checkout(short(5_000));
        "checkout of two, too many": shop.checkout(cart(&[(&one, 5_000), (&two, 1)]));
        "checkout at a version": shop.checkout(pinned(&one, version(&one).await));
        "checkout at another version": shop.checkout(pinned(&one, Version::FIRST));
        "checkout of a retired one": shop.checkout(cart(&[(&name("new"), 1)]));
    }
    for quantity in [1, 2] {
        expired(&one).await;
        let some = if quantity == 1 { short(1) } else { both() };
        failures.note(
            &format!("{which}: checkout of what has expired, {quantity}"),
            shop.checkout(some).await,
        );
        direct.cleanup_reservations().await.unwrap();
    }
    expired(&one).await;
    note! {
        "checkout with a key of what has expired":
            shop.checkout(single().with_idempotency_key(name("expired")));
        "adjust what has expired":
            shop.adjust_stock(Adjustment::new(sku(&one), -1, "x").unwrap());
    }
    let crowd = (0..40).map(|_| shop.checkout(both()));
    for answer in futures(crowd).await {
        failures.note(&format!("{which}: a crowd"), answer);
    }

    let order = async || -> OrderId { direct.checkout(both()).await.unwrap().id };
    let paid = async || -> OrderId {
        let id = order().await;
        direct.mark_paid(id).await.unwrap().id
    };
    let cancelled = async || -> OrderId {
        let id = order().await;
        direct.cancel(id, "x").await.unwrap().id
    };
    let (a, b, c, d) = (
        order().await,
        order().await,
        paid().await,
        cancelled().await,
    );
    let back = ReturnRequest::new(c, [(sku(&one), units(1))], "x").unwrap();
    let too_many = ReturnRequest::new(c, [(sku(&one), units(7))], "x").unwrap();
    note! {
        "order": shop.order(a);
        "no order": shop.order(OrderId::new());
        "orders": shop.orders(OrderFilter::all(), Page::first(5));
        "orders after": shop.orders(OrderFilter::all(), Page::after(a, 5));
        "payment failed": shop.mark_payment_failed(a);
        "payment failed again": shop.mark_payment_failed(a);
        "paid": shop.mark_paid(a);
        "paid again": shop.mark_paid(a);
        "cancel": shop.cancel(b, "x");
        "cancel again": shop.cancel(b, "x");
        "cancel a paid one": shop.cancel(c, "x");
        "return": shop.return_items(back.clone());
        "return again": shop.return_items(back);
        "return too many": shop.return_items(too_many);
        "revive": shop.revive(d);
        "revive again": shop.revive(d);
    }
    let d = cancelled().await;
    expired(&one).await;
    note! { "revive of what has expired": shop.revive(d); }
    direct.cleanup_reservations().await.unwrap();
    let d = cancelled().await;
    let all = direct.product(&sku(&one)).await.unwrap().available();
    let taken = Adjustment::new(sku(&one), 1 - all, "x").unwrap();
    direct.adjust_stock(taken).await.unwrap();
    let last = direct.checkout(single()).await.unwrap().id;
    note! {
        "revive of what is gone": shop.revive(d);
        "cancel the last": shop.cancel(last, "x");
        "adjust by much": shop.adjust_stock(Adjustment::new(sku(&one), 900, "x").unwrap());
    }
    let lines = |quantity| [(sku(&one), units(quantity)), (sku(&two), units(1))];
    let held = Reserve::new(lines(2)).unwrap().with_customer("ana");
    let held = held.with_idempotency_key(name("held"));
    note! {
        "reserve": shop.reserve(held.clone());
        "reserve again": shop.reserve(held);
        "reserve too many": shop.reserve(Reserve::new(lines(50_000)).unwrap());
    }
    let held = direct
        .reserve(Reserve::new(lines(2)).unwrap())
        .await
        .unwrap()
        .id;
    let other = direct
        .reserve(Reserve::new(lines(2)).unwrap())
        .await
        .unwrap()
        .id;
    note! {
        "reservation": shop.reservation(held);
        "extend": shop.extend(held, Duration::from_secs(7_200));
        "checkout of some that is held": shop.checkout(both().with_reservation(held));
        "checkout of more than is held": shop.checkout(cart(&[(&one, 5)]).with_reservation(held));
        "checkout of it again": shop.checkout(both().with_reservation(held));
        "release": shop.release(other);
        "release again": shop.release(other);
        "extend what is released": shop.extend(other, Duration::from_secs(7_200));
    }
    expired(&one).await;
    note! { "reserve what has expired": shop.reserve(Reserve::new(lines(2)).unwrap()); }
    let held = expired(&one).await;
    note! {
        "checkout of what was held": shop.checkout(single().with_reservation(held));
        "cleanup of reservations": shop.cleanup_reservations();
        "cleanup of orders": shop.cleanup_failed_orders(Duration::ZERO);
        "cleanup of keys": shop.cleanup_idempotency_keys(Duration::ZERO);
        "report at the end": shop.report(Duration::from_secs(60));
        "audit at the end": shop.audit();
    }
}

/// All of them at once.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = all.map(|it| (Box::pin(it), None)).collect();
    std::future::poll_fn(|context| {
        let mut pending = false;
        for (future, answer) in &mut all {
            if answer.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *answer = Some(value),
                    std::task::Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            std::task::Poll::Pending
        } else {
            std::task::Poll::Ready(())
        }
    })
    .await;
    all.into_iter().filter_map(|(_, answer)| answer).collect()
}

/// The statements of versioned rows.
async fn rows(pool: &PgPool, failures: &mut Failures) {
    let accounts = PgRepository::<Account>::new(pool.clone());
    failures.note_row("verify", accounts.verify().await);
    for id in 1..=6 {
        failures.note_row("insert", accounts.insert(&Account::new(id, 10)).await);
    }
    let it = |id| Account::new(id, 20);
    let second = Version::new(2).unwrap();
    failures.note_row("find", accounts.find(&1).await);
    failures.note_row("get", accounts.get(&1).await);
    failures.note_row("get at", accounts.get_at(&1, Version::FIRST).await);
    failures.note_row("update", accounts.update(&it(1)).await);
    failures.note_row("compare and set", accounts.compare_and_set(&it(2)).await);
    failures.note_row("stale", accounts.compare_and_set(&it(2)).await);
    failures.note_row("touch", accounts.touch(&1, second).await);
    failures.note_row("delete", accounts.delete(&3, Version::FIRST).await);
    for mode in [Bulk::AllOrNothing, Bulk::Each] {
        let all = [it(4), it(5), it(1)];
        failures.note_row("update all", accounts.update_all(&all, mode).await);
    }
    let policy = RetryPolicy::new();
    let modified = accounts.modify(&policy, &6, |it: &mut Account| {
        it.cents += 1;
        Ok::<_, postgres::Error>(())
    });
    failures.note_row("modify", modified.await.map_err(|gave_up| gave_up.error));
    let mut transaction = pool.begin().await.unwrap();
    failures.note_row("lock", accounts.lock_in(&mut transaction, &6).await);
    let current = accounts.assert_current_in(&mut transaction, &5, Version::FIRST);
    drop(current.await);
    transaction.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hostile_code_is_called() {
    let failures = among_hostile_code(async |db, pool| {
        let mut failures = Failures::default();
        migrate(&pool)
            .await
            .expect("the migrations call nothing of it");
        migrate(&pool)
            .await
            .expect("nor does one that has nothing to do");
        let direct = PgInventory::new(db.pool.clone());
        let shop = PgInventory::new(pool.clone());
        for strategy in [
            Strategy::Guarded,
            Strategy::Optimistic,
            Strategy::Pessimistic,
        ] {
            let shop = shop.clone().with_strategy(strategy);
            let which = format!("{strategy:?}");
            everything(&which, &shop, &direct, &db.pool, &mut failures).await;
        }
        let hooked = shop.clone().with_hook(Arc::new(Idle));
        everything("hook", &hooked, &direct, &db.pool, &mut failures).await;
        for (which, options) in [
            ("BatchedInventory", BatchOptions::new()),
            ("batches", BatchOptions::new().always()),
        ] {
            let shop = BatchedInventory::new(shop.clone(), options);
            everything(which, &shop, &direct, &db.pool, &mut failures).await;
            shop.shutdown().await;
        }
        add(&direct, "pot", 50).await;
        let feed = shop.movements_since(&FeedPosition::START, 10).await;
        failures.note("feed", feed);
        let mut transaction = pool.begin().await.unwrap();
        let hooked = hooked
            .checkout_in(&mut transaction, &cart(&[("pot", 1)]))
            .await;
        failures.note("checkout_in with a hook", hooked);
        drop(transaction.commit().await);
        rows(&pool, &mut failures).await;
        failures.0
    })
    .await;
    assert!(
        failures.is_empty(),
        "{} operations call hostile code:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// That the test above would find it.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_code_is_there_to_be_called() {
    among_hostile_code(async |_, pool| {
        for planted in [
            "SELECT cardinality(ARRAY['a']::text[])",
            "SELECT 1::bigint - 1::numeric",
            "SELECT coalesce(1::smallint IN (0.5), false)",
            "SELECT 'a'::text || 1::bigint",
            "SELECT 1::bigint * interval '1 second'",
            "SELECT sum(1::numeric * 2::bigint)",
            "SELECT generate_subscripts(ARRAY['a']::text[], 1)",
            "SELECT CASE 1::smallint WHEN 0.5 THEN 1 END",
            "SELECT nullif(1::bigint, 1::numeric)",
            "SELECT 1::bigint IS DISTINCT FROM 1::numeric",
        ] {
            let error = sqlx::query(planted).execute(&pool).await.unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("hostile code was called"),
                "{planted}: {error}"
            );
        }
        for sound in [
            "SELECT pg_catalog.cardinality(ARRAY['a']::text[])",
            "SELECT 1::smallint = 1, 1::bigint + 1, 1::bigint::numeric - 1::numeric",
            "SELECT 2::float8 * interval '1 second'",
        ] {
            sqlx::query(sound).execute(&pool).await.unwrap();
        }
    })
    .await;
}

//! Compares the record of all answers with the rows.

use std::collections::{BTreeMap, HashMap, HashSet};

use optilock::{
    inventory::{Inventory, PgInventory},
    sqlx::{self, PgPool},
};
use support::balances;
use uuid::Uuid;

use crate::{
    BoxError,
    goods::{ACCOUNTS, CENTS},
    record::{Effects, Record},
    request::{Id, Status},
};

/// How many violations of one kind are listed.
const LISTED: usize = 10;

/// Returns every contradiction between the answers and the rows.
pub(crate) async fn violations(pool: &PgPool, record: &Record) -> Result<Vec<String>, BoxError> {
    let mut found = Vec::new();
    found.extend(balances::discrepancies(pool).await?);
    let audit = PgInventory::new(pool.clone()).audit().await?;
    found.extend(audit.discrepancies.iter().map(|it| format!("audit: {it}")));
    orders(pool, record, &mut found).await?;
    reservations(pool, record, &mut found).await?;
    outbox(pool, record, &mut found).await?;
    accounts(pool, &mut found).await?;
    let tokens = [
        ("return", "SELECT id FROM optilock.returns", &record.returns),
        (
            "adjustment",
            "SELECT token FROM optilock.movements WHERE kind = 3 AND token IS NOT NULL",
            &record.adjustments,
        ),
        (
            "transfer",
            "SELECT id FROM bank.transfers",
            &record.transfers,
        ),
    ];
    for (name, select, effects) in tokens {
        let stored: Vec<Uuid> = sqlx::query_scalar(select).fetch_all(pool).await?;
        let stored = stored.into_iter().map(|id| id.as_u128()).collect();
        existence(name, &stored, effects, &mut found);
    }
    Ok(found)
}

/// What was acknowledged is stored; what is stored was acknowledged or had an unknown outcome.
fn existence(name: &str, stored: &HashSet<Id>, effects: &Effects, found: &mut Vec<String>) {
    let lost = effects
        .acknowledged
        .iter()
        .filter(|id| !stored.contains(id));
    let lost = lost.map(|id| format!("{name} {id:x} was acknowledged and is not stored"));
    let unexplained = stored.iter().filter(|id| !effects.may_be_stored(**id));
    let unexplained =
        unexplained.map(|id| format!("{name} {id:x} is stored, and every answer was a refusal"));
    list(found, lost);
    list(found, unexplained);
}

/// Lists the first of many violations, and counts the others.
fn list(found: &mut Vec<String>, violations: impl Iterator<Item = String>) {
    let mut violations = violations.peekable();
    found.extend(violations.by_ref().take(LISTED));
    if violations.peek().is_some() {
        found.push(format!("and {} more of this kind", violations.count()));
    }
}

type Lines = BTreeMap<String, i64>;

async fn orders(pool: &PgPool, record: &Record, found: &mut Vec<String>) -> Result<(), BoxError> {
    let rows: Vec<(Uuid, i16, String, i64)> = sqlx::query_as(
        "SELECT o.id, o.status, l.sku, l.quantity FROM optilock.orders o
         JOIN optilock.order_lines l ON l.order_id = o.id WHERE o.status <> 4",
    )
    .fetch_all(pool)
    .await?;
    let mut stored: HashMap<Id, (i16, Lines)> = HashMap::new();
    for (id, status, sku, quantity) in rows {
        let order = stored.entry(id.as_u128()).or_insert((status, Lines::new()));
        order.1.insert(sku, quantity);
    }
    existence(
        "order",
        &stored.keys().copied().collect(),
        &record.orders,
        found,
    );
    let differ = stored.iter().filter_map(|(id, (status, lines))| {
        let order = record.states.get(id)?;
        let requested: Lines = order.lines.iter().cloned().collect();
        if *lines != requested {
            return Some(format!(
                "order {id:x} has {lines:?}, requested were {requested:?}"
            ));
        }
        let states = order.states();
        let state = Status::of_number(*status);
        (!state.is_some_and(|state| states.contains(&state)))
            .then(|| format!("order {id:x} is {state:?}, the answers allow {states:?}"))
    });
    list(found, differ);
    let repeated: Vec<String> = sqlx::query_scalar(
        "SELECT 'two orders of one key: ' || idempotency_key FROM optilock.orders WHERE status <> 4
             GROUP BY customer, idempotency_key HAVING count(*) > 1
         UNION ALL
         SELECT 'two reservations of one key: ' || idempotency_key FROM optilock.reservations
             GROUP BY customer, idempotency_key HAVING count(*) > 1",
    )
    .fetch_all(pool)
    .await?;
    list(found, repeated.into_iter());
    Ok(())
}

async fn reservations(
    pool: &PgPool,
    record: &Record,
    found: &mut Vec<String>,
) -> Result<(), BoxError> {
    let rows: Vec<(Uuid, i16, String, i64, i64)> =
        sqlx::query_as("SELECT reservation_id, state, sku, quantity, held FROM optilock.holds")
            .fetch_all(pool)
            .await?;
    let mut stored: HashMap<Id, (Lines, Vec<(i16, i64)>)> = HashMap::new();
    for (id, state, sku, quantity, held) in rows {
        let (lines, states) = stored.entry(id.as_u128()).or_default();
        lines.insert(sku, quantity);
        states.push((state, held));
    }
    let ids = stored.keys().copied().collect();
    existence("reservation", &ids, &record.reservations, found);
    let differ = stored.iter().filter_map(|(id, (lines, states))| {
        let requested: Lines = record.held.get(id)?.iter().cloned().collect();
        if *lines != requested {
            return Some(format!(
                "reservation {id:x} has {lines:?}, requested were {requested:?}"
            ));
        }
        if record.bought.contains(id) && states.iter().any(|hold| *hold != (1, 0)) {
            return Some(format!(
                "reservation {id:x} was bought, its holds are {states:?}"
            ));
        }
        let live = states.iter().any(|(state, _)| *state == 0);
        (live && record.released.contains(id))
            .then(|| format!("reservation {id:x} was released, its holds are {states:?}"))
    });
    list(found, differ);
    Ok(())
}

/// Each order was delivered or still waits for it, and no other one was.
async fn outbox(pool: &PgPool, record: &Record, found: &mut Vec<String>) -> Result<(), BoxError> {
    let rows: Vec<(Uuid, bool)> = sqlx::query_as(
        "SELECT o.id, EXISTS (SELECT FROM optilock.outbox e WHERE e.order_id = o.id)
         FROM optilock.orders o WHERE o.status <> 4",
    )
    .fetch_all(pool)
    .await?;
    let waiting: HashMap<Id, bool> = rows
        .into_iter()
        .map(|(id, waits)| (id.as_u128(), waits))
        .collect();
    let forgotten = waiting
        .iter()
        .filter(|(id, waits)| !**waits && !record.delivered.contains(*id));
    list(
        found,
        forgotten.map(|(id, _)| format!("order {id:x} was never delivered")),
    );
    let invented = record
        .delivered
        .iter()
        .filter(|id| !waiting.contains_key(id));
    list(
        found,
        invented.map(|id| format!("order {id:x} was delivered and is not stored")),
    );
    Ok(())
}

/// No cent is lost, and each transfer wrote two rows.
async fn accounts(pool: &PgPool, found: &mut Vec<String>) -> Result<(), BoxError> {
    let (cents, writes, transfers): (i64, i64, i64) = sqlx::query_as(
        "SELECT sum(cents)::bigint, sum(version - 1)::bigint,
            (SELECT count(*) FROM bank.transfers) FROM bank.accounts",
    )
    .fetch_one(pool)
    .await?;
    if cents != ACCOUNTS * CENTS {
        found.push(format!(
            "accounts have {cents} cents, not {}",
            ACCOUNTS * CENTS
        ));
    }
    if writes != 2 * transfers {
        found.push(format!(
            "{transfers} transfers made {writes} writes of accounts"
        ));
    }
    Ok(())
}

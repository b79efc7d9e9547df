//! The archive: what leaves, what stays, and that a request is recognised afterwards.

mod audit;
mod concurrent;
mod holders;
mod leaving;
mod refused;
mod repeated;

use optilock::{
    inventory::{
        ArchivePosition, Archived, Error, Inventory, Movement, MovementKind, OrderId, PgInventory,
        ReservationId, Reserve, ReturnRequest,
    },
    sqlx::{self, AssertSqlSafe, PgPool},
};

use crate::support::{
    db::Db,
    goods::{add, cart, sku, units},
};

/// Lets everything be a day old: what is younger than an hour stays.
async fn age(pool: &PgPool) {
    let older = "UPDATE optilock.movements SET moved_at = moved_at - interval '1 day'";
    sqlx::query(older).execute(pool).await.unwrap();
}

/// The position of an archive of everything that has ended.
fn everything() -> ArchivePosition {
    ArchivePosition::before("2999-01-01T00:00:00Z".parse().unwrap())
}

/// Archives page by page from a position on.
async fn archive(shop: &PgInventory, from: ArchivePosition, limit: u32) -> Archived {
    let mut all = shop.archive(&from, limit).await.unwrap();
    let mut pages = 1;
    while let Some(next) = all.next.take() {
        pages += 1;
        assert!(pages < 1_000, "it advances: {next}");
        // Stored as text, as by another process.
        let next = next.to_string().parse().unwrap();
        let page = shop.archive(&next, limit).await.unwrap();
        all.orders.extend(page.orders);
        all.returns.extend(page.returns);
        all.reservations.extend(page.reservations);
        all.movements.extend(page.movements);
        all.ledgers.extend(page.ledgers);
        all.next = page.next;
    }
    all
}

/// A shop with orders and reservations of every kind.
struct Ground {
    db: Db,
    shop: PgInventory,
    /// Leave.
    paid: OrderId,
    cancelled: OrderId,
    released: ReservationId,
    sold: ReservationId,
    /// Stay.
    pending: OrderId,
    held: ReservationId,
}

impl Ground {
    async fn new() -> Self {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone());
        add(&shop, "mug", 50).await;
        add(&shop, "pot", 50).await;
        let lines = [("pot", 2), ("mug", 1)];
        let paid = shop.checkout(cart(&lines)).await.unwrap().id;
        shop.mark_paid(paid).await.unwrap();
        for (reason, quantity) in [("broken", 1), ("late", 1)] {
            let back = ReturnRequest::new(paid, [(sku("pot"), units(quantity))], reason).unwrap();
            shop.return_items(back).await.unwrap();
        }
        let cancelled = shop.checkout(cart(&lines)).await.unwrap().id;
        shop.cancel(cancelled, "test").await.unwrap();
        let reserve = async || {
            let request = Reserve::new([(sku("mug"), units(2))]).unwrap();
            shop.reserve(request).await.unwrap().id
        };
        let released = reserve().await;
        shop.release(released).await.unwrap();
        let sold = reserve().await;
        let buy = cart(&[("mug", 2)]).with_reservation(sold);
        let bought = shop.checkout(buy).await.unwrap().id;
        shop.mark_paid(bought).await.unwrap();
        // The reservations' own time.
        let past = "UPDATE optilock.holds SET expires_at = now() WHERE state <> 0";
        sqlx::query(past).execute(&db.pool).await.unwrap();
        let pending = shop.checkout(cart(&[("pot", 1)])).await.unwrap().id;
        let held = reserve().await;
        age(&db.pool).await;
        Self {
            db,
            shop,
            paid,
            cancelled,
            released,
            sold,
            pending,
            held,
        }
    }
}

async fn movements(shop: &PgInventory, of: &str) -> Vec<Movement> {
    let page = optilock::inventory::Page::first(1_000);
    shop.movements(&sku(of), page).await.unwrap()
}

/// Returns the kinds of a product's movements with their versions.
async fn kinds(shop: &PgInventory, of: &str) -> Vec<(i64, MovementKind)> {
    let movements = movements(shop, of).await;
    movements
        .iter()
        .map(|it| (it.version.get(), it.kind))
        .collect()
}

/// Returns all rows of all tables as text.
async fn rows(pool: &PgPool) -> Vec<String> {
    let mut all = Vec::new();
    for table in [
        "products",
        "orders",
        "order_lines",
        "returns",
        "reservations",
        "holds",
        "movements",
        "archived_tokens",
        "outbox",
    ] {
        let sql = format!("SELECT '{table} ' || t::text FROM optilock.{table} t ORDER BY 1");
        let rows = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(pool);
        all.extend(rows.await.unwrap());
    }
    all
}

fn archived<T: std::fmt::Debug>(answer: Result<T, Error>, what: &str) {
    let code = answer.as_ref().map_err(Error::code);
    assert_eq!(code.err(), Some("archived"), "{what}: {answer:?}");
}

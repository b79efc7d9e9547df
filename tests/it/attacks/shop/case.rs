//! What one run of an operation works on: two products, and an order or a reservation of them. Stored by
//! SQL of the test's own.

use std::fmt::Write as _;

use optilock::{
    inventory::{OrderId, ReservationId, Sku},
    sqlx::{self, AssertSqlSafe, PgPool},
};
use uuid::Uuid;

use crate::support::goods::sku;

/// What is there before the operation. Ten pots and ten mugs, unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setup {
    Nothing,
    Stocked,
    /// The pot is retired.
    Retired,
    /// The sale of the pot is paused.
    Paused,
    /// An order of two pots and a mug, an hour old, in this state.
    Ordered(Status),
    /// The same, cancelled, and everything is held by two expired reservations.
    CancelledAndTaken,
    /// A reservation of two pots and a mug, for twenty minutes.
    Held,
    /// The same, an hour past its time.
    Expired,
    /// Everything is held by two expired reservations.
    Taken,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Status {
    Pending = 0,
    Failed = 1,
    Paid = 2,
    Cancelled = 3,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub setup: Setup,
    number: u32,
    pub order: OrderId,
    pub reservation: ReservationId,
    /// The id of an adjustment or a return.
    pub token: Uuid,
    /// Pages and durations at their ends.
    pub extreme: bool,
    /// The key of a checkout or a reservation that the operation makes.
    pub key: String,
    pub customer: String,
}

#[derive(Default)]
struct Shelf {
    stock: i64,
    reserved: i64,
    retired: bool,
    paused: bool,
    moves: Vec<String>,
}

impl Shelf {
    fn moved(&mut self, kind: u8, delta: i64, of: [Option<Uuid>; 2]) {
        self.stock += delta;
        let (version, stock) = (self.moves.len() + 1, self.stock);
        let [order, reservation] =
            of.map(|id| id.map_or("NULL".to_owned(), |id| format!("'{id}'")));
        self.moves.push(format!(
            "{version}, {kind}, {delta}, {stock}, {order}, {reservation}"
        ));
    }
}

impl Case {
    pub fn new(setup: Setup) -> Self {
        let number = rand::random();
        Self {
            setup,
            number,
            order: OrderId::new(),
            reservation: ReservationId::new(),
            token: Uuid::now_v7(),
            extreme: false,
            key: format!("key {number}"),
            customer: format!("ana {number}"),
        }
    }

    pub fn pot(&self) -> Sku {
        sku(&format!("pot {}", self.number))
    }

    pub fn mug(&self) -> Sku {
        sku(&format!("mug {}", self.number))
    }

    pub fn skus(&self) -> Vec<String> {
        [self.pot(), self.mug()].map(|sku| sku.to_string()).to_vec()
    }

    /// All that a host could know it by.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.skus();
        names.extend([
            self.customer.clone(),
            format!("bob {}", self.number),
            self.order.to_string(),
        ]);
        names
    }

    pub async fn store(&self, pool: &PgPool) {
        let sql = self.sql();
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(pool)
            .await
            .unwrap();
    }

    fn sql(&self) -> String {
        let mut sql = String::new();
        if self.setup == Setup::Nothing {
            return "SELECT".to_owned();
        }
        let [mut pot, mut mug] = [(); 2].map(|()| {
            let mut shelf = Shelf::default();
            shelf.moved(8, 10, [None; 2]);
            shelf
        });
        let order = self.order.uuid();
        let status = match self.setup {
            Setup::Ordered(status) => Some(status),
            Setup::CancelledAndTaken => Some(Status::Cancelled),
            _ => None,
        };
        if let Some(status) = status {
            pot.moved(1, -2, [Some(order), None]);
            mug.moved(1, -1, [Some(order), None]);
            if status == Status::Cancelled {
                pot.moved(2, 2, [Some(order), None]);
                mug.moved(2, 1, [Some(order), None]);
            }
            write!(
                sql,
                "INSERT INTO optilock.orders
                    (id, customer, idempotency_key, status, total, currency, created_at, pending_since)
                 VALUES ('{order}', 'bob {n}', 'old key {n}', {status}, 3000, 'MXN',
                    statement_timestamp() - interval '1 hour', statement_timestamp() - interval '1 hour');
                 INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
                 VALUES ('{order}', 'pot {n}', 2, 1000), ('{order}', 'mug {n}', 1, 1000);",
                n = self.number,
                status = status as u8,
            )
            .unwrap();
        }
        let holds: &[(Uuid, i64, i64, &str)] = &match self.setup {
            Setup::Held => vec![(self.reservation.uuid(), 2, 1, "20 minutes")],
            Setup::Expired => vec![(self.reservation.uuid(), 2, 1, "-1 hour")],
            Setup::Taken | Setup::CancelledAndTaken => vec![
                (self.reservation.uuid(), 4, 5, "-1 hour"),
                (self.token, 6, 5, "-2 hours"),
            ],
            _ => Vec::new(),
        };
        for (id, pots, mugs, until) in holds {
            for (shelf, units) in [(&mut pot, pots), (&mut mug, mugs)] {
                shelf.reserved += units;
                shelf.moved(4, 0, [None, Some(*id)]);
            }
            write!(
                sql,
                "INSERT INTO optilock.reservations (id, remaining) VALUES ('{id}', {pots} + {mugs});
                 INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
                 VALUES ('{id}', 'pot {n}', {pots}, {pots}, statement_timestamp() + interval '{until}'),
                    ('{id}', 'mug {n}', {mugs}, {mugs}, statement_timestamp() + interval '{until}');",
                n = self.number,
            )
            .unwrap();
        }
        if self.setup == Setup::Retired {
            pot.retired = true;
            pot.moved(9, 0, [None; 2]);
        }
        if self.setup == Setup::Paused {
            pot.paused = true;
            pot.moved(13, 0, [None; 2]);
        }
        for (name, shelf) in [("pot", pot), ("mug", mug)] {
            let n = self.number;
            write!(
                sql,
                "INSERT INTO optilock.products (sku, name, price, currency, stock, reserved, version, retired, paused)
                 VALUES ('{name} {n}', 'A {name}', 1000, 'MXN', {}, {}, {}, {}, {});",
                shelf.stock,
                shelf.reserved,
                shelf.moves.len(),
                shelf.retired,
                shelf.paused,
            )
            .unwrap();
            for row in &shelf.moves {
                write!(
                    sql,
                    "INSERT INTO optilock.movements
                        (sku, version, kind, delta, stock_after, order_id, reservation_id)
                     VALUES ('{name} {n}', {row});"
                )
                .unwrap();
            }
        }
        sql
    }

    /// Everything that is stored of it, in words; without void orders, and without expired holds that are
    /// only in the way.
    pub async fn stored(&self, pool: &PgPool) -> String {
        const STORED: &str = "
            SELECT coalesce(string_agg(line, ', ' ORDER BY line), 'nothing') FROM (
                SELECT split_part(p.sku, ' ', 1) || ' ' || p.stock || '-' || p.reserved - (
                        SELECT coalesce(sum(h.held), 0) FROM optilock.holds h
                        WHERE h.sku = p.sku AND h.state = 0 AND h.reservation_id = ANY ($3))
                    || CASE WHEN p.revision > 1 THEN ' r' || p.revision ELSE '' END
                    || CASE WHEN p.retired THEN ' retired' ELSE '' END
                    || CASE WHEN p.paused THEN ' paused' ELSE '' END
                    || coalesce((SELECT ' [' || string_agg(m.kind || ':' || m.delta, ' ' ORDER BY m.version) || ']'
                        FROM optilock.movements m
                        WHERE m.sku = p.sku AND (m.kind <> 5 OR cardinality($3) = 0)), '')
                FROM optilock.products p WHERE p.sku = ANY ($1)
                UNION ALL
                SELECT 'order ' || o.status || ' v' || o.version
                    || CASE WHEN o.idempotency_key IS NULL THEN '' ELSE ' key' END
                    || coalesce((SELECT ' [' || string_agg(split_part(l.sku, ' ', 1) || ':' || l.quantity
                        || CASE WHEN l.returned > 0 THEN '-' || l.returned ELSE '' END, ' ' ORDER BY l.sku) || ']'
                        FROM optilock.order_lines l WHERE l.order_id = o.id), '')
                FROM optilock.orders o
                WHERE o.status <> 4 AND (o.id = $2 OR EXISTS (
                    SELECT FROM optilock.order_lines l WHERE l.order_id = o.id AND l.sku = ANY ($1)))
                UNION ALL
                SELECT 'hold ' || split_part(h.sku, ' ', 1) || ':' || h.quantity || ' ' || h.held
                    || ' s' || h.state
                    || CASE WHEN h.expires_at > statement_timestamp() + interval '1 hour' THEN ' long' ELSE '' END
                FROM optilock.holds h WHERE h.sku = ANY ($1) AND h.reservation_id <> ALL ($3)
                UNION ALL
                SELECT 'return ' || array_to_string(quantities, ' ') FROM optilock.returns WHERE order_id = $2
                UNION ALL
                SELECT 'lines without an order' FROM optilock.order_lines l
                WHERE l.sku = ANY ($1) AND NOT EXISTS (SELECT FROM optilock.orders o WHERE o.id = l.order_id)
                UNION ALL
                SELECT 'movements without a product' FROM optilock.movements m
                WHERE m.sku = ANY ($1) AND NOT EXISTS (SELECT FROM optilock.products p WHERE p.sku = m.sku)
            ) lines (line)";
        sqlx::query_scalar(STORED)
            .bind(self.skus())
            .bind(self.order.uuid())
            .bind(self.in_the_way())
            .fetch_one(pool)
            .await
            .unwrap()
    }

    /// Expired reservations that the operation may end, or in part, or leave.
    fn in_the_way(&self) -> Vec<Uuid> {
        match self.setup {
            Setup::Taken | Setup::CancelledAndTaken => vec![self.reservation.uuid(), self.token],
            _ => Vec::new(),
        }
    }
}

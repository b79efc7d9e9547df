//! Everybody wants the same thing, twice: from code as one writes it first, and from the inventory. To be
//! looked at.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use optilock::{
    inventory::{BoxError, Checkout, Inventory, Line, Money, NewProduct, Quantity, Sku, Stock},
    sqlx::{self, PgPool},
};
use serde::{Deserialize, Serialize};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tracing::warn;
use uuid::Uuid;

use super::{Shop, body, problem::Problem, ticks, users::Admin};

/// What they race for is on no shelf.
const PRIZE: &str = "race-";

pub fn is_prize(sku: &Sku) -> bool {
    sku.as_str().starts_with(PRIZE)
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    buyers: Option<u32>,
    units: Option<u32>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Race {
    buyers: u32,
    units: u32,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    Naive,
    Optilock,
}

#[derive(Debug, Serialize)]
struct Answer {
    way: Way,
    buyer: u32,
    outcome: &'static str,
    ms: f64,
}

#[derive(Debug, Serialize)]
struct Outcome {
    sold: u32,
    stock_after: i64,
    took_ms: f64,
}

type Events = mpsc::Sender<Event>;

pub async fn start(
    State(shop): State<Shop>,
    _: Admin,
    body::Json(wanted): body::Json<Wanted>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let race = Race {
        buyers: wanted.buyers.unwrap_or(50),
        units: wanted.units.unwrap_or(10),
    };
    if !(1..=500).contains(&race.buyers) || race.units > race.buyers {
        return Err(Problem::invalid(
            "buyers: 1 to 500; units: 0 to as many as buyers",
        ));
    }
    let busy = || Problem::too_many_requests(Duration::from_secs(2));
    shop.races.try_acquire().map_err(|_| busy())?.forget();
    let (events, told) = mpsc::channel(1_024);
    let stream = ticks::until_stopped(&shop, ReceiverStream::new(told).map(Ok));
    tokio::spawn(async move {
        if let Err(error) = run(&shop, race, &events).await {
            warn!(error, "a race was broken off");
        }
        shop.races.add_permits(1);
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

async fn run(shop: &Shop, race: Race, events: &Events) -> Result<(), BoxError> {
    tell(events, "begin", &race).await;
    let naive = naive(&shop.pool, race, events).await?;
    let optilock = optilock(shop, race, events).await?;
    let end = serde_json::json!({ "naive": naive, "optilock": optilock });
    tell(events, "end", &end).await;
    Ok(())
}

/// Whoever looked may have gone: the race is run all the same.
async fn tell(events: &Events, name: &str, data: &impl Serialize) {
    if let Ok(event) = Event::default().event(name).json_data(data) {
        drop(events.send(event).await);
    }
}

/// All of them at once; how many were sold one, and how many milliseconds it took.
async fn crowd<B>(
    race: Race,
    way: Way,
    events: &Events,
    buy: impl Fn() -> B,
) -> Result<(u32, f64), BoxError>
where
    B: Future<Output = Result<bool, BoxError>> + Send + 'static,
{
    let began = Instant::now();
    let since = || began.elapsed().as_secs_f64() * 1_000.0;
    let mut buyers = JoinSet::new();
    for buyer in 0..race.buyers {
        let bought = buy();
        buyers.spawn(async move { (buyer, bought.await) });
    }
    let mut sold = 0;
    while let Some(answered) = buyers.join_next().await {
        let (buyer, bought) = answered?;
        let bought = bought?;
        sold += u32::from(bought);
        let answer = Answer {
            way,
            buyer,
            outcome: if bought { "sold" } else { "refused" },
            ms: since(),
        };
        tell(events, "answer", &answer).await;
    }
    Ok((sold, since()))
}

/// Look whether there is one; take one. Right, as long as nobody comes in between.
async fn naive(pool: &PgPool, race: Race, events: &Events) -> Result<Outcome, BoxError> {
    let id = Uuid::now_v7();
    sqlx::query("INSERT INTO storefront.naive_stock (id, stock) VALUES ($1, $2)")
        .bind(id)
        .bind(i64::from(race.units))
        .execute(pool)
        .await?;
    let (sold, took_ms) = crowd(race, Way::Naive, events, || {
        let pool = pool.clone();
        async move {
            let stock: i64 =
                sqlx::query_scalar("SELECT stock FROM storefront.naive_stock WHERE id = $1")
                    .bind(id)
                    .fetch_one(&pool)
                    .await?;
            if stock < 1 {
                return Ok(false);
            }
            sqlx::query("UPDATE storefront.naive_stock SET stock = stock - 1 WHERE id = $1")
                .bind(id)
                .execute(&pool)
                .await?;
            Ok(true)
        }
    })
    .await?;
    let stock_after =
        sqlx::query_scalar("DELETE FROM storefront.naive_stock WHERE id = $1 RETURNING stock")
            .bind(id)
            .fetch_one(pool)
            .await?;
    Ok(Outcome {
        sold,
        stock_after,
        took_ms,
    })
}

async fn optilock(shop: &Shop, race: Race, events: &Events) -> Result<Outcome, BoxError> {
    let inventory = &shop.inventory;
    let sku = Sku::new(format!("{PRIZE}{}", Uuid::now_v7()))?;
    let prize = NewProduct::new(sku.clone(), "The prize", Money::new(100, "MXN".parse()?)?);
    let stock = Stock::new(i64::from(race.units))?;
    inventory.add_product(prize.with_stock(stock)).await?;
    let (sold, took_ms) = crowd(race, Way::Optilock, events, || {
        let (inventory, sku) = (inventory.clone(), sku.clone());
        async move {
            let request = Checkout::new([Line::new(sku, Quantity::ONE)])?;
            match inventory.checkout(request).await {
                // So that nobody finds it among the unpaid ones.
                Ok(order) => inventory.mark_paid(order.id).await.map(|_| true),
                Err(error) if error.is_insufficient_stock() => Ok(false),
                Err(error) => Err(error),
            }
            .map_err(BoxError::from)
        }
    })
    .await?;
    let prize = inventory.product(&sku).await?;
    inventory.retire_product(&sku, prize.version).await?;
    Ok(Outcome {
        sold,
        stock_after: prize.stock.get(),
        took_ms,
    })
}

//! The race of the dashboard: many buyers want the same product, first by naive code, then by the inventory.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use optilock::{
    inventory::{
        BatchOptions, BatchedInventory, BoxError, Checkout, Inventory, Line, Money, NewProduct,
        PgInventory, Quantity, Sku, Stock,
    },
    sqlx::{self, PgPool},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OnceCell, Semaphore, mpsc},
    task::JoinSet,
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tracing::warn;
use uuid::Uuid;

use crate::{auth::Admin, body, problem::Problem, shop::Shop, stream::until_stopped};

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RaceBody {
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

/// The outcome of one buyer.
#[derive(Debug, Serialize)]
struct Answer {
    way: Way,
    buyer: u32,
    outcome: &'static str,
    ms: f64,
}

/// The outcome of all buyers of one way.
#[derive(Debug, Serialize)]
struct Outcome {
    sold: u32,
    stock_after: i64,
    took_ms: f64,
}

/// The inventory of the races, in a schema of its own: what they sell is in no figure of the shop.
#[derive(Debug)]
pub(crate) struct Races {
    /// Races run one after the other.
    permit: Arc<Semaphore>,
    pool: PgPool,
    inventory: OnceCell<BatchedInventory>,
}

impl Races {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self {
            permit: Arc::new(Semaphore::new(1)),
            pool,
            inventory: OnceCell::new(),
        }
    }

    /// Returns the inventory, whose tables the first race makes.
    async fn inventory(&self) -> Result<&BatchedInventory, BoxError> {
        let open = async || {
            let inventory = PgInventory::new(self.pool.clone()).in_schema("storefront_races")?;
            inventory.migrate().await?;
            Ok(BatchedInventory::new(inventory, BatchOptions::new()))
        };
        self.inventory.get_or_try_init(open).await
    }
}

type Events = mpsc::Sender<Event>;

/// Runs a race and streams its events. One race runs at a time.
pub(crate) async fn start(
    State(shop): State<Shop>,
    _: Admin,
    body::Json(body): body::Json<RaceBody>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let race = Race {
        buyers: body.buyers.unwrap_or(50),
        units: body.units.unwrap_or(10),
    };
    if !(1..=500).contains(&race.buyers) || race.units > race.buyers {
        return Err(Problem::invalid("buyers: 1 to 500; units: 0 to buyers"));
    }
    let busy = || Problem::too_many_requests(Duration::from_secs(2));
    let permit = Arc::clone(&shop.races.permit).try_acquire_owned();
    let permit = permit.map_err(|_| busy())?;
    let (events, receiver) = mpsc::channel(1_024);
    let stream = ReceiverStream::new(receiver).map(Ok);
    let stream = until_stopped(shop.stopped.clone(), stream);
    tokio::spawn(async move {
        if let Err(error) = run(&shop, race, &events).await {
            warn!(error, "a race failed");
        }
        drop(permit);
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

async fn run(shop: &Shop, race: Race, events: &Events) -> Result<(), BoxError> {
    send(events, "begin", &race).await;
    let naive = naive(&shop.pool, race, events).await?;
    let optilock = optilock(shop, race, events).await?;
    let end = serde_json::json!({ "naive": naive, "optilock": optilock });
    send(events, "end", &end).await;
    Ok(())
}

/// Sends an event. If the client has left, the event is dropped and the race goes on.
async fn send(events: &Events, name: &str, data: &impl Serialize) {
    if let Ok(event) = Event::default().event(name).json_data(data) {
        drop(events.send(event).await);
    }
}

/// Runs `buy` for all buyers at once. Returns the number of units sold and the milliseconds taken.
async fn run_buyers<B>(
    race: Race,
    way: Way,
    events: &Events,
    buy: impl Fn() -> B,
) -> Result<(u32, f64), BoxError>
where
    B: Future<Output = Result<bool, BoxError>> + Send + 'static,
{
    let start = Instant::now();
    let elapsed_ms = || start.elapsed().as_secs_f64() * 1_000.0;
    let mut buyers = JoinSet::new();
    for buyer in 0..race.buyers {
        let bought = buy();
        buyers.spawn(async move { (buyer, bought.await) });
    }
    let mut sold = 0;
    while let Some(finished) = buyers.join_next().await {
        let (buyer, bought) = finished?;
        let bought = bought?;
        sold += u32::from(bought);
        let answer = Answer {
            way,
            buyer,
            outcome: if bought { "sold" } else { "refused" },
            ms: elapsed_ms(),
        };
        send(events, "answer", &answer).await;
    }
    Ok((sold, elapsed_ms()))
}

/// Reads the stock, then takes a unit. This oversells: other buyers read the same stock in between.
async fn naive(pool: &PgPool, race: Race, events: &Events) -> Result<Outcome, BoxError> {
    let id = Uuid::now_v7();
    sqlx::query("INSERT INTO storefront.shop_naive_stock (id, stock) VALUES ($1, $2)")
        .bind(id)
        .bind(i64::from(race.units))
        .execute(pool)
        .await?;
    let (sold, took_ms) = run_buyers(race, Way::Naive, events, || {
        let pool = pool.clone();
        async move {
            let stock: i64 =
                sqlx::query_scalar("SELECT stock FROM storefront.shop_naive_stock WHERE id = $1")
                    .bind(id)
                    .fetch_one(&pool)
                    .await?;
            if stock < 1 {
                return Ok(false);
            }
            sqlx::query("UPDATE storefront.shop_naive_stock SET stock = stock - 1 WHERE id = $1")
                .bind(id)
                .execute(&pool)
                .await?;
            Ok(true)
        }
    })
    .await?;
    let stock_after =
        sqlx::query_scalar("DELETE FROM storefront.shop_naive_stock WHERE id = $1 RETURNING stock")
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
    let inventory = shop.races.inventory().await?;
    let sku = Sku::new(format!("race-{}", Uuid::now_v7()))?;
    let prize = NewProduct::new(sku.clone(), "The prize", Money::new(100, "MXN".parse()?)?);
    let stock = Stock::new(i64::from(race.units))?;
    inventory.add_product(prize.with_stock(stock)).await?;
    let (sold, took_ms) = run_buyers(race, Way::Optilock, events, || {
        let (inventory, sku) = (inventory.clone(), sku.clone());
        async move {
            let request = Checkout::new([Line::new(sku, Quantity::ONE)])?;
            match inventory.checkout(request).await {
                // Paid at once, so that the clean-up of unpaid orders does not find it.
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

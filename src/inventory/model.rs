//! What an inventory is asked and what it answers: values, requests, answers and errors, without a database.

pub(crate) mod adjustment;
pub(crate) mod audit;
pub(crate) mod checkout;
pub(crate) mod cleanup;
pub(crate) mod error;
pub(crate) mod feed;
pub(crate) mod id;
pub(crate) mod invalid_value;
pub(crate) mod latency;
pub(crate) mod line;
pub(crate) mod money;
pub(crate) mod movement;
pub(crate) mod order;
pub(crate) mod order_step;
pub(crate) mod page;
pub(crate) mod product;
pub(crate) mod quantity;
pub(crate) mod rates;
pub(crate) mod report;
pub(crate) mod reservation;
pub(crate) mod return_request;
#[cfg(feature = "serde")]
mod serde;
pub(crate) mod shortage;
pub(crate) mod sku;

pub use adjustment::Adjustment;
pub use audit::{Audit, Discrepancy, DiscrepancyKind};
pub use checkout::Checkout;
pub use cleanup::{Cleaned, Cleanup};
pub use error::{BoxError, Error, ErrorKind, Exhausted, PriceChange};
pub use feed::{FeedPosition, MovementFeed};
pub use id::{OrderId, ReservationId};
pub use invalid_value::InvalidValue;
pub use line::Line;
pub use money::{Currency, Money};
pub use movement::{Movement, MovementKind};
pub use order::{Order, OrderFilter, OrderLine, OrderStatus};
pub use order_step::OrderStep;
pub use page::Page;
pub use product::{NewProduct, Product};
pub use quantity::{Quantity, Stock};
pub use report::{BestSeller, ContendedProduct, Kpi, KpiKind, NegativeStock, Report, UnpaidOrder};
pub use reservation::{Hold, HoldState, Reservation, Reserve};
pub use return_request::ReturnRequest;
pub use shortage::Shortage;
pub use sku::Sku;

//! The guide: how to use locking, retries, transactions and the inventory, and the reasons.
//!
//! The pages in the order in which to read them, rows first, each with the question that it answers. Pages of a feature that
//! is off are missing: [docs.rs](https://docs.rs/optilock/latest/optilock/guide/index.html) has all of them.
//!
//! | | Page | Question |
//! |---|---|---|
//! | | **Rows: a table of your own** | |
//! | 1 | [Quick start](quick_start_rows/index.html) | How does a table refuse stale writes, from an empty crate on? |
//! | 2 | [Locking](locking/index.html) | What is a lost update, and what prevents it? |
//! | 3 | [Versioned rows](rows/index.html) | What can be done with a versioned row, and what does its table need? |
//! | 4 | [Transactions](transactions/index.html) | How does a whole transaction run again after a conflict? |
//! | 5 | [Retrying](retrying/index.html) | How is an operation that lost a race tried again? |
//! | 6 | [Errors](errors/index.html) | Which error means what, and what can the caller do? |
//! | 7 | [Over HTTP](http/index.html) | How does a version travel over HTTP? |
//! | 8 | [Axum](axum/index.html) | How does a handler answer a conflict? |
//! | 9 | [Once](once/index.html) | How does a unit of work take effect exactly once? |
//! | 10 | [Existing tables](existing_tables/index.html) | How does a table in use get a version? |
//! | 11 | [Recipes](recipes/index.html) | How is a single task done: other frameworks, roles, tenants, soft delete, history, merging? |
//! | 12 | [Testing](testing/index.html) | How do tests provoke a conflict, a busy database or an unknown outcome? |
//! | | **The shop: products, stock, orders** | |
//! | 13 | [Quick start](quick_start_shop/index.html) | How does a shop sell its stock, each unit once, from an empty crate on? |
//! | 14 | [Inventory](inventory/index.html) | What is an inventory, and when does a checkout take effect? |
//! | 15 | [Orders](orders/index.html) | Which states does an order pass, and what may be sent again? |
//! | 16 | [Reservations](reservations/index.html) | How are units kept while a buyer pays? |
//! | 17 | [Flash sales](flash_sales/index.html) | What happens when all buyers want one product? |
//! | 18 | [Stock for display](display/index.html) | How is stock shown to many viewers without a query for each? |
//! | 19 | [Your own products](own_products/index.html) | How does a shop keep the products table that it has? |
//! | 20 | [Many shops](many_shops/index.html) | How do several shops share one database, and what if one server is too small? |
//! | 21 | [Examples](examples/index.html) | What can be run to see it, without a database? |
//! | | **In production** | |
//! | 22 | [Operations](operations/index.html) | What runs beside a shop, what is monitored, and what follows an alert? |
//! | 23 | [Tuning](tuning/index.html) | Which settings are fast, and how are they measured? |
//! | 24 | [Troubleshooting](troubleshooting/index.html) | What does this message mean, and what is to be done? |
//! | 25 | [Promises](promises/index.html) | What is promised, under which conditions, and which command shows it? |
//! | 26 | [Versions](versions/index.html) | What may change between versions? |
//! | | **By role** | |
//! | 27 | [Front end](front_end/index.html) | What does a page have to do so that a shopper pays once? |
//! | 28 | [Operators](sre/index.html) | How is the shop run, and what follows an alert? |
//! | 29 | [Tech leads](tech_leads/index.html) | What is to be decided before a shop goes live? |
//! | | **Reference** | |
//! | 30 | [Cheat sheet](cheat_sheet/index.html) | Which SQL does each operation send, and what does it lock? |
//! | 31 | [Features](features/index.html) | Which features does the crate have, and what does each bring? |
//!
//! Front end, operators and tech leads are also in Spanish: [es](es/index.html).

#[doc = include_str!("guide/locking.md")]
pub mod locking {}

#[doc = include_str!("guide/retrying.md")]
pub mod retrying {}

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
#[doc = include_str!("guide/transactions.md")]
pub mod transactions {}

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
#[doc = include_str!("guide/once.md")]
pub mod once {}

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
#[doc = include_str!("guide/rows.md")]
pub mod rows {}

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
#[doc = include_str!("guide/existing_tables.md")]
pub mod existing_tables {}

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
#[doc = include_str!("guide/http.md")]
pub mod http {}

#[cfg(all(feature = "axum", feature = "inventory"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "axum", feature = "inventory"))))]
#[doc = include_str!("guide/axum.md")]
#[doc = "```rust,ignore"]
#[doc = include_str!("guide/axum.rs")]
#[doc = "```"]
pub mod axum {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/inventory.md")]
pub mod inventory {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/orders.md")]
pub mod orders {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/reservations.md")]
pub mod reservations {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/operations.md")]
pub mod operations {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/flash_sales.md")]
pub mod flash_sales {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/tuning.md")]
pub mod tuning {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/many_shops.md")]
pub mod many_shops {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/own_products.md")]
pub mod own_products {}

#[cfg(feature = "cache")]
#[cfg_attr(docsrs, doc(cfg(feature = "cache")))]
#[doc = include_str!("guide/display.md")]
pub mod display {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/promises.md")]
pub mod promises {}

#[cfg(all(feature = "inventory", feature = "testing"))]
#[cfg_attr(docsrs, doc(cfg(all(feature = "inventory", feature = "testing"))))]
#[doc = include_str!("guide/testing.md")]
pub mod testing {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/front_end.md")]
pub mod front_end {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/sre.md")]
pub mod sre {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/tech_leads.md")]
pub mod tech_leads {}

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
pub mod recipes;

#[cfg(feature = "postgres")]
#[cfg_attr(docsrs, doc(cfg(feature = "postgres")))]
#[doc = include_str!("guide/quick_start_rows.md")]
pub mod quick_start_rows {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/quick_start_shop.md")]
pub mod quick_start_shop {}

#[doc = include_str!("guide/cheat_sheet.md")]
pub mod cheat_sheet {}

#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
#[doc = include_str!("guide/errors.md")]
pub mod errors {}

#[doc = include_str!("guide/troubleshooting.md")]
pub mod troubleshooting {}

#[doc = include_str!("guide/features.md")]
pub mod features {}

#[doc = include_str!("guide/versions.md")]
pub mod versions {}

#[doc = include_str!("guide/examples.md")]
pub mod examples {}

/// Pages of the guide in Spanish (páginas de la guía en español).
#[cfg(feature = "inventory")]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
pub mod es {
    #[doc = include_str!("guide/es/front_end.md")]
    pub mod front_end {}

    #[doc = include_str!("guide/es/sre.md")]
    pub mod sre {}

    #[doc = include_str!("guide/es/tech_leads.md")]
    pub mod tech_leads {}
}

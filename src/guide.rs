//! The guide: how to use locking, retries, transactions and the inventory, and the reasons.
//!
//! Begin with [`locking`]. [`retrying`] needs no database. `transactions`, `once`, `rows`,
//! `existing_tables` and `http` are about your own tables on PostgreSQL; `inventory`, `orders`, `reservations`,
//! `flash_sales` and `display` about the inventory, `own_products` about a products table that you have, `many_shops`
//! about several shops; `testing` about your own tests, and `promises` about those of the crate; `operations` and
//! `tuning` about running it. `front_end`, `sre` and `tech_leads` are for these roles, with the shop of the examples;
//! `es` has these three in Spanish. `recipes` are single tasks, each with its code.

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

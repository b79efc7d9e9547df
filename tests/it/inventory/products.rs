//! Products.

mod pause;

mod axum;
pub mod by_hand;
pub mod storefront;
pub mod throwaway;

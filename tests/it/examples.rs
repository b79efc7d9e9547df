pub mod storefront;
pub mod throwaway;

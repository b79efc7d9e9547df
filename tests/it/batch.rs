pub mod combined;
pub mod regressions;

pub mod combined;

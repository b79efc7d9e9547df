//! Runs the functions of the recipe.

mod recipe;

use optilock::{
    Version,
    postgres::{PgRepository, WriteOutcome},
};
use recipe::{Seat, free_seats, leave, seats_of, take};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::var("DATABASE_URL").unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let (id, guest, version) = (7, None, Version::FIRST);
    let seats = PgRepository::<Seat>::new(pool.clone());
    seats.insert(&Seat { id, guest, version }).await.unwrap();
    assert_eq!(free_seats(&pool).await.unwrap(), [(7, Version::FIRST)]);

    let second = take(&pool, 7, Version::FIRST, "ana").await.unwrap();
    assert_eq!(second, Version::new(2));
    assert_eq!(take(&pool, 7, Version::FIRST, "leo").await.unwrap(), None);

    let [seat] = seats_of(&pool, "ana").await.unwrap().try_into().unwrap();
    assert_eq!(seat.version.get(), 2);
    let left = leave(&pool, &seat).await.unwrap();
    assert!(left.is_written());
    let again = leave(&pool, &seat).await.unwrap();
    assert!(matches!(again, WriteOutcome::Stale(row) if row.version.get() == 3));
}

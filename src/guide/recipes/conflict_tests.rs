use std::time::Duration;

use optilock::{
    Version,
    postgres::{Error, ErrorKind, PgRepository},
    sqlx, versioned_row,
};

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Seat {
    pub id: i64,
    pub guest: Option<String>,
    pub version: Version,
}

versioned_row! { Seat in "shop.seats" {
    entity: "seat", id: id: i64, version: version, columns: [guest],
} }

/// What the service calls of its table.
pub trait Seats: Sync {
    fn get(&self, id: i64) -> impl Future<Output = Result<Seat, Error>> + Send;
    fn update(&self, seat: &Seat) -> impl Future<Output = Result<Seat, Error>> + Send;
}

impl Seats for PgRepository<Seat> {
    async fn get(&self, id: i64) -> Result<Seat, Error> {
        self.get(&id).await
    }

    async fn update(&self, seat: &Seat) -> Result<Seat, Error> {
        self.update(seat).await
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<Duration>,
}

impl Answer {
    const fn new(status: u16) -> Self {
        let retry_after = None;
        Self {
            status,
            retry_after,
        }
    }
}

/// Gives a seat, which the client has seen free at this version, to a guest.
pub async fn take(seats: &impl Seats, id: i64, seen: Version, guest: &str) -> Answer {
    let guest = Some(guest.to_owned());
    let mine = Seat {
        id,
        guest,
        version: seen,
    };
    let error = match seats.update(&mine).await {
        Ok(_) => return Answer::new(200),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::Unknown => match seats.get(id).await {
            Ok(seat) if seat.guest == mine.guest && Some(seat.version) == seen.next() => {
                Answer::new(200)
            }
            // Not yet, or no longer: the client reads the seat later.
            _ => Answer::new(503),
        },
        _ => Answer {
            status: error.http_status(),
            retry_after: error.retry_after(),
        },
    }
}

#[cfg(test)]
mod tests {
    use optilock::testing::{Fault, MemoryRows};

    use super::*;

    impl Seats for MemoryRows<Seat> {
        async fn get(&self, id: i64) -> Result<Seat, Error> {
            self.get(&id).await
        }

        async fn update(&self, seat: &Seat) -> Result<Seat, Error> {
            self.update(seat).await
        }
    }

    /// Returns a table with the free seats 1 to `count`.
    async fn free_seats(count: i64) -> MemoryRows<Seat> {
        let seats = MemoryRows::new(|seat: &mut Seat, version| seat.version = version);
        for id in 1..=count {
            let seat = Seat {
                id,
                guest: None,
                version: Version::FIRST,
            };
            seats.insert(&seat).await.unwrap();
        }
        seats
    }

    async fn guest_of(seats: &MemoryRows<Seat>, id: i64) -> Option<String> {
        seats.find(&id).await.unwrap().unwrap().guest
    }

    #[tokio::test]
    async fn the_slower_guest_is_asked_to_read_again() {
        let seats = free_seats(1).await;
        assert_eq!(take(&seats, 1, Version::FIRST, "ana").await.status, 200);
        assert_eq!(take(&seats, 1, Version::FIRST, "leo").await.status, 409);
        assert_eq!(guest_of(&seats, 1).await.as_deref(), Some("ana"));
    }

    #[tokio::test]
    async fn a_busy_database_says_when_to_come_back() {
        let seats = free_seats(1).await;
        let second = Duration::from_secs(1);
        seats.faults().at_call("update", 1, Fault::busy(second));
        let answer = take(&seats, 1, Version::FIRST, "ana").await;
        assert_eq!((answer.status, answer.retry_after), (503, Some(second)));
        // Nothing happened: the same request can be sent again.
        assert_eq!(take(&seats, 1, Version::FIRST, "ana").await.status, 200);
    }

    #[tokio::test]
    async fn an_unknown_outcome_is_looked_up() {
        let seats = free_seats(2).await;
        seats
            .faults()
            .at_call("update", 1, Fault::unknown_but_done());
        assert_eq!(take(&seats, 1, Version::FIRST, "ana").await.status, 200);
        assert_eq!(guest_of(&seats, 1).await.as_deref(), Some("ana"));
        seats.faults().at_call("update", 2, Fault::unknown());
        let answer = take(&seats, 2, Version::FIRST, "ana").await;
        assert_eq!((answer.status, answer.retry_after), (503, None));
    }

    #[tokio::test]
    async fn an_answer_of_200_means_that_the_guest_has_the_seat() {
        for seed in 0..50 {
            let seats = free_seats(20).await;
            let faults = [
                Fault::conflict(),
                Fault::unknown(),
                Fault::unknown_but_done(),
            ];
            seats.faults().at_random(seed, 4, faults);
            let mut seated = Vec::new();
            for id in 1..=20 {
                for guest in ["ana", "leo", "eva"] {
                    if take(&seats, id, Version::FIRST, guest).await.status == 200 {
                        seated.push((id, guest));
                    }
                }
            }
            seats.faults().clear();
            for (id, guest) in seated {
                let found = guest_of(&seats, id).await;
                assert_eq!(found.as_deref(), Some(guest), "seat {id}, seed {seed}");
            }
        }
    }
}

use optilock::{Version, postgres::PgRepository, sqlx::PgPool};

struct Post {
    id: i64,
    version: Version,
}

impl optilock::Versioned for Post {
    type Id = i64;
    const ENTITY: &'static str = "post";

    fn id(&self) -> &i64 {
        &self.id
    }

    fn version(&self) -> Version {
        self.version
    }
}

fn posts(pool: PgPool) -> PgRepository<Post> {
    PgRepository::new(pool)
}

fn main() {}

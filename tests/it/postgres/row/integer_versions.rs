//! Versions of other integer types and from 0, shared with the writers of other frameworks.

use optilock::{
    Version,
    postgres::{Bulk, ErrorKind, PgRepository, WriteOutcome},
    sqlx::{self, AssertSqlSafe, PgPool},
};

use crate::support::{db::Db, triggers::run};

/// Declares a row type with a version of this type.
macro_rules! article {
    ($module:ident: $($version:tt)*) => {
        mod $module {
            use optilock::{Version, sqlx, versioned_row};

            #[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
            pub struct Article {
                pub id: i64,
                pub title: String,
                #[sqlx(rename = "lock_version")]
                pub version: Version,
            }

            versioned_row! { Article in "public.articles" {
                entity: "article", id: id: i64, version: version = "lock_version" $($version)*, columns: [title],
            } }

            pub fn article(id: i64, title: &str, version: i64) -> Article {
                let (title, version) = (title.to_owned(), Version::new(version).unwrap());
                Article { id, title, version }
            }
        }
    };
}

article!(bigint_from_1:);
article!(bigint_from_0: from 0);
article!(int4_from_1: as int4);
article!(int4_from_0: as int4 from 0);
article!(int2_from_0: as int2 from 0);

async fn table(version: &str) -> Db {
    let db = Db::empty().await;
    let table = format!(
        "CREATE TABLE public.articles (id bigint PRIMARY KEY, title text NOT NULL, lock_version {version})"
    );
    run(&db.pool, table).await;
    db
}

async fn send(pool: &PgPool, sql: &str) -> u64 {
    let sent = sqlx::query(AssertSqlSafe(sql.to_owned()))
        .execute(pool)
        .await;
    sent.unwrap().rows_affected()
}

/// The first write of a row that another framework has created, and the refusal of that framework's write at
/// the version before. Each has its own statement for both.
macro_rules! shares_rows {
    ($test:ident, $module:ident, $table:literal, $first:literal, $insert:literal, $update:literal) => {
        #[tokio::test]
        async fn $test() {
            let db = table($table).await;
            let articles = PgRepository::<$module::Article>::new(db.pool.clone());
            articles.verify().await.unwrap();
            assert_eq!(send(&db.pool, $insert).await, 1);
            let read = articles.get(&1).await.unwrap();
            assert_eq!(read, $module::article(1, "theirs", $first));

            // The other framework read the row before this write, and loses.
            let mut mine = read.clone();
            "mine".clone_into(&mut mine.title);
            let mine = articles.update(&mine).await.unwrap();
            assert_eq!(mine, $module::article(1, "mine", $first + 1));
            assert_eq!(send(&db.pool, $update).await, 0);

            // Its write of another row is a conflict here, in every operation.
            let insert = $insert.replace("(1,", "(2,");
            assert_eq!(send(&db.pool, &insert).await, 1);
            let read = articles.get(&2).await.unwrap();
            let update = $update.replace("id = 1", "id = 2");
            assert_eq!(send(&db.pool, &update).await, 1);
            let conflict = articles.update(&read).await.unwrap_err();
            let conflict = conflict.conflict().expect("a conflict").clone();
            assert_eq!(
                (conflict.expected.get(), conflict.actual.get()),
                ($first, $first + 1)
            );
            assert!(
                articles
                    .touch(&2, read.version)
                    .await
                    .unwrap_err()
                    .is_conflict()
            );
            assert!(
                articles
                    .delete(&2, read.version)
                    .await
                    .unwrap_err()
                    .is_conflict()
            );
            let current = $module::article(2, "theirs again", $first + 1);
            let stale = vec![WriteOutcome::Stale(current)];
            let outcomes = articles.update_all(std::slice::from_ref(&read), Bulk::Each);
            assert_eq!(outcomes.await.unwrap(), stale);
            let deletion = [(2, read.version)];
            let outcomes = articles.delete_all(&deletion, Bulk::Each);
            assert_eq!(outcomes.await.unwrap(), stale);
            let mut conn = db.pool.acquire().await.unwrap();
            let assertion = articles.assert_current_in(&mut conn, &2, read.version);
            assert!(assertion.await.unwrap_err().is_conflict());

            // New rows, by every operation, and a second writer of each.
            let new = $module::article(3, "new", $first);
            assert_eq!(articles.insert(&new).await.unwrap(), new);
            let rows = [
                $module::article(3, "upserted", $first),
                $module::article(4, "new", $first),
            ];
            let [third, fourth] = [$module::article(3, "upserted", $first + 1), rows[1].clone()];
            let outcomes = articles.upsert_all(&rows).await.unwrap();
            let written = [WriteOutcome::Written(third), WriteOutcome::Written(fourth)];
            assert_eq!(outcomes, written);
            let update = $update.replace("id = 1", "id = 4");
            assert_eq!(send(&db.pool, &update).await, 1);
            let outcomes = articles.insert_all(&rows).await.unwrap();
            assert_eq!(
                outcomes,
                [WriteOutcome::AlreadyExists, WriteOutcome::AlreadyExists]
            );
        }
    };
}

shares_rows!(
    rails_shares_rows,
    int4_from_0,
    "int NOT NULL DEFAULT 0",
    0,
    "INSERT INTO public.articles (id, title) VALUES (1, 'theirs')",
    "UPDATE \"public\".\"articles\" SET \"title\" = 'theirs again', \"lock_version\" = 1
     WHERE \"articles\".id = 1 AND \"articles\".\"lock_version\" = 0"
);
shares_rows!(
    hibernate_shares_rows,
    int4_from_0,
    "int NOT NULL",
    0,
    "insert into public.articles (id, title, lock_version) values (1, 'theirs', 0)",
    "update public.articles set title='theirs again', lock_version=1 where id = 1 and lock_version=0"
);
shares_rows!(
    ecto_shares_rows,
    int4_from_1,
    "int NOT NULL DEFAULT 1",
    1,
    "INSERT INTO public.articles (id, title, lock_version) VALUES (1, 'theirs', 1)",
    "UPDATE public.articles SET title = 'theirs again', lock_version = 2
     WHERE (id = 1) AND (lock_version = 1)"
);
shares_rows!(
    ef_core_shares_rows,
    bigint_from_0,
    "bigint NOT NULL DEFAULT 0",
    0,
    "INSERT INTO public.articles (id, title, lock_version) VALUES (1, 'theirs', 0)",
    "UPDATE public.articles SET title = 'theirs again', lock_version = 1
     WHERE id = 1 AND lock_version = 0"
);
shares_rows!(
    a_smallint_is_shared,
    int2_from_0,
    "smallint NOT NULL DEFAULT 0",
    0,
    "INSERT INTO public.articles (id, title) VALUES (1, 'theirs')",
    "UPDATE public.articles SET title = 'theirs again', lock_version = lock_version + 1
     WHERE id = 1 AND lock_version = 0"
);

/// After the last number of its type a version is exhausted, and nothing changes.
macro_rules! is_exhausted {
    ($test:ident, $module:ident, $type:literal, $last:expr) => {
        #[tokio::test]
        async fn $test() {
            let db = table(concat!($type, " NOT NULL")).await;
            let articles = PgRepository::<$module::Article>::new(db.pool.clone());
            articles.verify().await.unwrap();
            let last = $module::article(1, "last", i64::from($last));
            let other = $module::article(2, "other", i64::from($last) - 1);
            let rows = [
                articles.insert(&last).await.unwrap(),
                articles.insert(&other).await.unwrap(),
            ];
            for refused in [
                articles.update(&last).await.map(drop),
                articles.touch(&1, last.version).await.map(drop),
                articles.update_all(&rows, Bulk::Each).await.map(drop),
                articles.upsert_all(&rows).await.map(drop),
                articles.upsert(&last).await.map(drop),
            ] {
                let refused = refused.unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::VersionExhausted, "{refused:?}");
                assert_eq!(refused.id(), Some("1"));
            }
            assert_eq!(articles.get(&1).await.unwrap(), last);
            assert_eq!(articles.get(&2).await.unwrap(), other);
            // A version that the type can't hold is no version of a row.
            let beyond = Version::new(i64::from($last) + 1).unwrap();
            let conflict = articles.touch(&1, beyond).await.unwrap_err();
            assert_eq!(conflict.conflict().unwrap().actual, last.version);
            let deletion = [(1, last.version)];
            let deleted = articles.delete_all(&deletion, Bulk::AllOrNothing).await;
            assert_eq!(deleted.unwrap(), [WriteOutcome::Written(last)]);
            let second = articles.update(&other).await.unwrap();
            assert_eq!(second.version.get(), i64::from($last));
        }
    };
}

is_exhausted!(an_int4_is_exhausted, int4_from_0, "int", i32::MAX);
is_exhausted!(an_int2_is_exhausted, int2_from_0, "smallint", i16::MAX);

#[tokio::test]
async fn another_type_or_first_version_is_a_mismatch() {
    let of = async |table_of: &str, int4: bool| {
        let db = table(table_of).await;
        let verified = match int4 {
            true => {
                let articles = PgRepository::<int4_from_0::Article>::new(db.pool.clone());
                articles.verify().await
            }
            false => {
                let articles = PgRepository::<bigint_from_1::Article>::new(db.pool.clone());
                articles.verify().await
            }
        };
        verified.map_or_else(|error| error.problems().to_vec(), |()| Vec::new())
    };
    let none: [&str; 0] = [];
    assert_eq!(of("int NOT NULL DEFAULT 0", true).await, none);
    assert_eq!(of("int NOT NULL DEFAULT 1", true).await, none);
    assert_eq!(
        of("int NOT NULL DEFAULT -1", true).await,
        ["column lock_version has the default -1, and versions begin at 0: SET DEFAULT 0"]
    );
    assert_eq!(
        of("bigint NOT NULL", true).await,
        ["column lock_version is INT8, and is described as int4: describe it `as int8`"]
    );
    assert_eq!(
        of("int NOT NULL", false).await,
        ["column lock_version is INT4, and is described as int8: describe it `as int4`"]
    );
    assert_eq!(
        of("bigint NOT NULL DEFAULT 0", false).await,
        ["column lock_version has the default 0, and versions begin at 1: SET DEFAULT 1"]
    );
    assert_eq!(
        of("numeric NOT NULL", true).await,
        ["column lock_version is NUMERIC, and is described as int4: make it a bigint"]
    );
}

//! Services that write the same rows, one of them by hand.

use optilock::{
    Version,
    postgres::{Error, PgRepository},
    sqlx::{self, PgPool},
};
use tokio::task::JoinSet;

use super::database;
use crate::support::{bank::PATIENT, db::assert_idle};

#[path = "../../../src/guide/recipes/several_services.rs"]
mod recipe;
use recipe::{Vehicle, correct_mileage, drive, retire_worn};

const SQL: &str = include_str!("../../../src/guide/recipes/several_services.sql");

fn van(plate: &str) -> Vehicle {
    Vehicle {
        id: 0,
        plate: plate.to_owned(),
        status: "active".to_owned(),
        version: Version::FIRST,
    }
}

async fn mileage(pool: &PgPool, id: i64) -> (i64, i64) {
    sqlx::query_as("SELECT mileage, version FROM fleet.vehicles WHERE id = $1")
        .bind(id)
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test]
async fn each_service_sees_the_writes_of_the_others() {
    let db = database(SQL).await;
    let depot = PgRepository::<Vehicle>::new(db.pool.clone());
    depot.verify().await.unwrap();
    let read = depot.insert(&van("A-1")).await.unwrap();
    let (_, expected) = mileage(&db.pool, read.id).await;

    let corrected = correct_mileage(&db.pool, read.id, expected, 50)
        .await
        .unwrap();
    assert_eq!(corrected, Some(2));
    let late = correct_mileage(&db.pool, read.id, expected, 60)
        .await
        .unwrap();
    assert_eq!(late, None);
    let conflict = depot.update(&read).await.unwrap_err();
    assert_eq!(conflict.conflict().unwrap().actual.get(), 2);

    // A struct that does not name a column leaves it as it is.
    let read = depot.get(&read.id).await.unwrap();
    depot.update(&read).await.unwrap();
    assert_eq!(mileage(&db.pool, read.id).await, (50, 3));
    assert!(drive(&db.pool, read.id, 10).await.unwrap());
    assert!(!drive(&db.pool, read.id + 1, 10).await.unwrap());
    assert!(depot.update(&read).await.unwrap_err().is_conflict());
    assert_eq!(retire_worn(&db.pool, 60).await.unwrap(), 1);
    assert_eq!(retire_worn(&db.pool, 60).await.unwrap(), 0);
    let retired = depot.get(&read.id).await.unwrap();
    assert_eq!((&*retired.status, retired.version.get()), ("retired", 5));
}

#[tokio::test]
async fn a_write_that_forgets_the_version_is_refused() {
    let db = database(SQL).await;
    let depot = PgRepository::<Vehicle>::new(db.pool.clone());
    let van = depot.insert(&van("A-1")).await.unwrap();
    for forgetful in [
        "UPDATE fleet.vehicles SET mileage = 1",
        "UPDATE fleet.vehicles SET mileage = 1, version = 1",
    ] {
        let refused = sqlx::query(forgetful).execute(&db.pool).await.unwrap_err();
        let code = refused.as_database_error().unwrap().code().unwrap();
        assert_eq!(code, "23514");
    }
    depot.update(&van).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_write_of_any_service_is_lost() {
    let db = database(SQL).await;
    let depot = PgRepository::<Vehicle>::new(db.pool.clone());
    let id = depot.insert(&van("")).await.unwrap().id;
    let mut services = JoinSet::new();
    for service in 0..6 {
        let (pool, depot) = (db.pool.clone(), depot.clone());
        services.spawn(async move {
            for _ in 0..20 {
                match service % 3 {
                    0 => assert!(drive(&pool, id, 1).await.unwrap()),
                    1 => loop {
                        let (read, version) = mileage(&pool, id).await;
                        let written = correct_mileage(&pool, id, version, read + 1).await;
                        if written.unwrap().is_some() {
                            break;
                        }
                    },
                    _ => {
                        let change = |van: &mut Vehicle| {
                            van.plate.push('x');
                            Ok::<_, Error>(())
                        };
                        depot.modify(&PATIENT, &id, change).await.unwrap();
                    }
                }
            }
        });
    }
    services.join_all().await;
    assert_eq!(mileage(&db.pool, id).await, (80, 121));
    assert_eq!(depot.get(&id).await.unwrap().plate.len(), 40);
    assert_idle(&db.pool).await;
}

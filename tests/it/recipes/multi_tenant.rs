//! Tenants whose rows are separated by policies.

use optilock::{
    RetryError,
    postgres::{Error, ErrorKind, PgRepository, transact},
    sqlx::{self, PgPool},
};

use super::database;
use crate::support::{
    bank::PATIENT,
    db::{Db, assert_idle, pool_options, with_role},
    triggers::run,
};

#[path = "../../../src/guide/recipes/multi_tenant.rs"]
mod recipe;
use recipe::{Project, Projects, Tenant};

const SQL: &str = include_str!("../../../src/guide/recipes/multi_tenant.sql");
const ANA: Tenant = Tenant(1);
const BEN: Tenant = Tenant(2);

/// Runs `test` on a pool of one connection, as a role that the policies hold for.
async fn as_application(test: impl AsyncFnOnce(&Db, &PgPool)) {
    let db = database(SQL).await;
    with_role(&db.pool, async |role| {
        run(
            &db.pool,
            format!(
                "GRANT USAGE ON SCHEMA saas TO {role};
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA saas TO {role}"
            ),
        )
        .await;
        let options = db.database.options().username(role).password("secret");
        let pool = pool_options(1).connect_with(options).await.unwrap();
        test(&db, &pool).await;
        pool.close().await;
    })
    .await;
    assert_idle(&db.pool).await;
}

fn kind<T: std::fmt::Debug>(result: Result<T, RetryError<Error>>) -> ErrorKind {
    result.unwrap_err().error.kind()
}

#[tokio::test]
async fn a_tenant_can_neither_see_nor_write_the_rows_of_another() {
    as_application(async |_, pool| {
        let projects = Projects::new(pool);
        projects.rows.verify().await.unwrap();
        let ours = projects.create(ANA, "ours").await.unwrap();
        let theirs = projects.create(BEN, "theirs").await.unwrap();
        assert_eq!((ours.tenant, theirs.tenant), (1, 2));

        assert_eq!(projects.get(ANA, ours.id).await.unwrap(), ours);
        assert_eq!(
            kind(projects.get(ANA, theirs.id).await),
            ErrorKind::NotFound
        );
        let stolen = projects.rename(ANA, &theirs, "stolen").await;
        assert_eq!(kind(stolen), ErrorKind::NotFound);
        let stolen = projects.append(ANA, theirs.id, "stolen").await;
        assert_eq!(kind(stolen), ErrorKind::NotFound);
        let stale = projects.rename(BEN, &theirs, "mine").await.unwrap();
        assert_eq!(
            kind(projects.rename(BEN, &theirs, "late").await),
            ErrorKind::Conflict
        );
        let last = projects.append(BEN, theirs.id, "!").await.unwrap();
        assert_eq!(
            (&*last.name, stale.version.next()),
            ("mine!", Some(last.version))
        );

        // A bulk write, and a row that says that it belongs to the other tenant.
        let refused = transact(pool, &PATIENT, async |tx| {
            ANA.enter(tx).await?;
            sqlx::query("INSERT INTO saas.projects (tenant, name) VALUES (2, 'planted')")
                .execute(&mut **tx)
                .await
        })
        .await
        .unwrap_err();
        let code = refused
            .error
            .as_database_error()
            .unwrap()
            .code()
            .unwrap()
            .into_owned();
        assert_eq!(code, "42501");
    })
    .await;
}

#[tokio::test]
async fn without_a_tenant_there_are_no_rows() {
    as_application(async |_, pool| {
        let projects = Projects::new(pool);
        let ours = projects.create(ANA, "ours").await.unwrap();
        // The same connection, after the transaction of the tenant.
        let missing = projects.rows.get(&ours.id).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let missing = projects.rows.update(&ours).await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        projects.rows.insert(&ours).await.unwrap_err();
        let rows = PgRepository::<Project>::new(pool.clone());
        rows.verify().await.unwrap();
        assert_eq!(projects.get(ANA, ours.id).await.unwrap(), ours);
    })
    .await;
}

#[tokio::test]
async fn a_foreign_key_names_no_row_of_another_tenant() {
    as_application(async |db, pool| {
        let projects = Projects::new(pool);
        let theirs = projects.create(BEN, "theirs").await.unwrap();
        for (tenant, accepted) in [(BEN, true), (ANA, false)] {
            let inserted = transact(pool, &PATIENT, async |tx| {
                tenant.enter(tx).await?;
                sqlx::query("INSERT INTO saas.tasks (project, title) VALUES ($1, 'task')")
                    .bind(theirs.id)
                    .execute(&mut **tx)
                    .await
            })
            .await;
            assert_eq!(inserted.is_ok(), accepted, "{tenant:?}");
        }
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM saas.tasks")
            .fetch_one(&db.pool)
            .await
            .unwrap();
        assert_eq!(count, 1);
    })
    .await;
}

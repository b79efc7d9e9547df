//! Privileges that the role lacks.

use optilock::postgres::PgRepository;

use super::{ACCOUNTS, problems, run};
use crate::support::{
    bank::Account,
    db::{Db, with_role},
};

/// Privileges on single columns suffice, and no table is visible without the privilege on its schema.
#[tokio::test]
async fn missing_privileges_are_reported() {
    let db = Db::empty().await;
    problems::<Account>(&db, ACCOUNTS).await;
    with_role(&db.pool, async |role| {
        let mut conn = db.pool.acquire().await.unwrap();
        let accounts = PgRepository::<Account>::new(db.pool.clone());
        for (change, expected) in [
            (
                format!(
                    "GRANT USAGE ON SCHEMA bank TO {role}; GRANT SELECT ON bank.accounts TO {role}"
                ),
                Some(
                    "table bank.accounts doesn't fit: this role may not DELETE from it; \
                     this role may not INSERT column id; \
                     this role may not INSERT or UPDATE column version; \
                     this role may not INSERT or UPDATE column owner; \
                     this role may not INSERT or UPDATE column cents",
                ),
            ),
            (
                format!("GRANT INSERT (id, owner, version), UPDATE (owner, cents, version) ON bank.accounts TO {role}"),
                Some(
                    "table bank.accounts doesn't fit: this role may not DELETE from it; \
                     this role may not INSERT column cents",
                ),
            ),
            (
                format!("GRANT INSERT (cents) ON bank.accounts TO {role}; GRANT DELETE ON bank.accounts TO {role}"),
                None,
            ),
            (
                format!("REVOKE USAGE ON SCHEMA bank FROM {role}"),
                Some("table bank.accounts doesn't fit: this role may not USE its schema"),
            ),
        ] {
            run(&mut conn, format!("{change}; SET ROLE {role}")).await;
            let verified = accounts.verify_in(&mut conn).await;
            run(&mut conn, "RESET ROLE").await;
            let refused = verified.err().map(|refused| refused.to_string());
            assert_eq!(refused.as_deref(), expected);
        }
    })
    .await;
}

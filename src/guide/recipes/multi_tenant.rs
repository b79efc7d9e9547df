use optilock::{
    RetryError, RetryPolicy, Version,
    postgres::{Error, PgRepository, transact},
    sqlx::{self, PgConnection, PgPool},
    versioned_row,
};

/// A tenant, as the login of the request names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tenant(pub i64);

impl Tenant {
    /// Makes the transaction one of this tenant. The setting ends with the transaction.
    pub async fn enter(self, tx: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT set_config('saas.tenant', $1::text, true)")
            .bind(self.0)
            .execute(tx)
            .await
            .map(drop)
    }
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Project {
    pub tenant: i64,
    pub id: i64,
    pub name: String,
    pub version: Version,
}

versioned_row! { Project in "saas.projects" {
    entity: "project", id: id: i64 as generated, version: version, columns: [name],
    read_only: [tenant],
} }

#[derive(Clone, Debug)]
pub struct Projects {
    pub rows: PgRepository<Project>,
    pool: PgPool,
}

impl Projects {
    pub fn new(pool: &PgPool) -> Self {
        Self {
            rows: PgRepository::new(pool.clone()),
            pool: pool.clone(),
        }
    }

    /// Creates a project of the tenant.
    pub async fn create(&self, tenant: Tenant, name: &str) -> Result<Project, RetryError<Error>> {
        transact(&self.pool, &RetryPolicy::new(), async |tx| {
            tenant.enter(tx).await?;
            let new = Project {
                tenant: tenant.0,
                id: 0,
                name: name.to_owned(),
                version: Version::FIRST,
            };
            self.rows.insert_in(tx, &new).await
        })
        .await
    }

    /// Returns a project of the tenant.
    pub async fn get(&self, tenant: Tenant, id: i64) -> Result<Project, RetryError<Error>> {
        transact(&self.pool, &RetryPolicy::new(), async |tx| {
            tenant.enter(tx).await?;
            self.rows.get_in(tx, &id).await
        })
        .await
    }

    /// Renames a project of the tenant that is at the version that the caller has read.
    pub async fn rename(
        &self,
        tenant: Tenant,
        read: &Project,
        name: &str,
    ) -> Result<Project, RetryError<Error>> {
        let renamed = Project {
            name: name.to_owned(),
            ..read.clone()
        };
        // The caller decides about a conflict: it would return at every attempt.
        let policy = RetryPolicy::new().with_max_attempts(1);
        transact(&self.pool, &policy, async |tx| {
            tenant.enter(tx).await?;
            self.rows.update_in(tx, &renamed).await
        })
        .await
    }

    /// Appends to the name, whatever the version is.
    pub async fn append(
        &self,
        tenant: Tenant,
        id: i64,
        text: &str,
    ) -> Result<Project, RetryError<Error>> {
        transact(&self.pool, &RetryPolicy::new(), async |tx| {
            tenant.enter(tx).await?;
            let change = |project: &mut Project| {
                project.name += text;
                Ok::<_, Error>(())
            };
            let (project, ()) = self.rows.modify_in(tx, &id, change).await?;
            Ok(project)
        })
        .await
    }
}

//! Does the host's table fit?

use sqlx::{
    Column as _, Executor, PgConnection, Row, Statement, TypeInfo,
    postgres::{PgRow, PgTypeInfo},
};

use super::{
    Error, PgRepository, PgVersioned, is_forbidden,
    row::{Column, Role},
    sql::quoted_table,
};

/// One row per column of the table. `$1` the table's name, quoted.
const COLUMNS: &str = "SELECT a.attname AS name, a.attnotnull AS not_null,
        a.attgenerated <> '' OR a.attidentity = 'a' AS generated,
        a.attgenerated <> '' OR a.attidentity <> '' OR a.atthasdef AS filled,
        pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS selects,
        pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'UPDATE') AS updates
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";

/// Whether it is one, and whether the id alone tells one row from another. `$1` the table's name,
/// quoted, `$2` the id.
const TABLE: &str = "SELECT c.relkind IN ('r', 'p') AS is_table,
        EXISTS (SELECT FROM pg_catalog.pg_index i
            JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $2
            WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                AND i.indkey[0] = a.attnum AND i.indnkeyatts = 1) AS has_key
    FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)";

impl<T: PgVersioned> PgRepository<T> {
    /// Checks that the table is what [`versioned_row!`](crate::versioned_row) says of it: that it and
    /// its columns are there, that their types can be read and written, that the version is a
    /// `bigint NOT NULL`, that the id is unique, and that this role may read and write. Reads one row,
    /// if there is one: that a field reads its column under another name, or that the type of a
    /// `read_only` one does not fit, only a row can show.
    ///
    /// For the start of an application, and for its tests: everything that does not fit is found at
    /// once, and not one by one by its users.
    ///
    /// # Errors
    ///
    /// [`Error::Unfit`] with all that was found.
    pub async fn verify(&self) -> Result<(), Error> {
        self.run(async |conn: &mut PgConnection| self.verify_in(conn).await)
            .await
    }

    /// [`verify`](Self::verify) on the caller's connection.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn verify_in(&self, conn: &mut PgConnection) -> Result<(), Error> {
        let mut problems = table::<T>(conn).await?;
        if problems.is_empty() {
            problems = self.types(conn).await?;
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::Unfit {
            table: T::TABLE,
            problems,
        })
    }

    /// The types, from the statement that reads a row; and a row itself, for what only values show.
    async fn types(&self, conn: &mut PgConnection) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        let prepared = match (&mut *conn).prepare(self.sql.sample.clone()).await {
            Ok(prepared) => prepared,
            Err(error) => return Ok(vec![refused("reads", error)?]),
        };
        let typed = T::COLUMNS
            .iter()
            .filter(|column| matches!(column.role, Role::Id | Role::Version | Role::Written(_)));
        for (column, rust) in typed.zip(T::types()) {
            let found = prepared
                .columns()
                .iter()
                .find(|found| found.name() == column.name);
            if let Some(found) = found
                && !(rust.reads)(found.type_info())
            {
                let (name, found) = (column.name, found.type_info().name());
                let wanted = (rust.info)();
                problems.push(format!(
                    "column {name} is {found}, the field is {}",
                    wanted.name()
                ));
            }
        }
        // With the types that will be sent: the connection keeps what it prepares.
        let types: Vec<PgTypeInfo> = T::types().iter().map(|rust| (rust.info)()).collect();
        let inserted = &types[usize::from(T::GENERATED_ID)..];
        for (sql, types) in [(&self.sql.update, &*types), (&self.sql.insert, inserted)] {
            if problems.is_empty()
                && let Err(error) = (&mut *conn).prepare_with(sql.clone(), types).await
            {
                problems.push(refused("writes", error)?);
            }
        }
        if problems.is_empty() {
            let sample = sqlx::query(self.sql.sample.clone())
                .fetch_optional(conn)
                .await
                .map_err(Error::before)?;
            if let Some(Err(error)) = sample.as_ref().map(T::from_row) {
                problems.push(format!("a row can't be read: {error}"));
            }
        }
        Ok(problems)
    }
}

/// What the database says of a statement: of its `on_update` and `only`, as the columns are there.
fn refused(what: &str, error: sqlx::Error) -> Result<String, Error> {
    match error {
        sqlx::Error::Database(error) => {
            let why = error.message();
            Ok(format!("the statement that {what} is refused: {why}"))
        }
        other => Err(Error::before(other)),
    }
}

/// The table, its columns and its key.
async fn table<T: PgVersioned>(conn: &mut PgConnection) -> Result<Vec<String>, Error> {
    let name = quoted_table(T::TABLE);
    let table = sqlx::query(TABLE)
        .bind(&name)
        .bind(T::COLUMNS[0].name)
        .fetch_optional(&mut *conn)
        .await;
    let table = match table {
        Ok(Some(table)) => table,
        Ok(None) => {
            let problem = "there is none, or it is in a schema that is neither named nor searched";
            return Ok(vec![problem.to_owned()]);
        }
        Err(error) if is_forbidden(&error) => {
            return Ok(vec!["this role may not USE its schema".to_owned()]);
        }
        Err(error) => return Err(Error::before(error)),
    };
    if !table.try_get::<bool, _>("is_table")? {
        return Ok(vec!["it is not a table".to_owned()]);
    }
    let found = sqlx::query(COLUMNS)
        .bind(&name)
        .fetch_all(conn)
        .await
        .map_err(Error::before)?;
    let mut problems = Vec::new();
    for column in T::COLUMNS {
        let mut found = found.iter();
        match found.find(|it| {
            it.try_get("name")
                .is_ok_and(|name: &str| name == column.name)
        }) {
            Some(found) => problems.extend(of_column::<T>(column, found)?),
            None => problems.push(format!("there is no column {}", column.name)),
        }
    }
    if problems.is_empty() && !T::UNIQUE_ID && !table.try_get::<bool, _>("has_key")? {
        problems.push("the id has no unique index of its own".to_owned());
    }
    Ok(problems)
}

fn of_column<T: PgVersioned>(column: &Column, found: &PgRow) -> Result<Option<String>, Error> {
    let name = column.name;
    let problem = match column.role {
        Role::Version if !found.try_get("not_null")? => format!("column {name} may be NULL"),
        Role::Id if T::GENERATED_ID && !found.try_get("filled")? => {
            format!("column {name} has no default that makes an id")
        }
        Role::Id if !T::GENERATED_ID && found.try_get("generated")? => {
            format!("column {name} is generated: mark the id `as generated`")
        }
        Role::Written(_) if found.try_get("generated")? => {
            format!("column {name} is generated: it belongs into read_only")
        }
        _ if !found.try_get("selects")? => format!("this role may not SELECT column {name}"),
        Role::Version | Role::Written(_) | Role::OnUpdate(_) if !found.try_get("updates")? => {
            format!("this role may not UPDATE column {name}")
        }
        _ => return Ok(None),
    };
    Ok(Some(problem))
}

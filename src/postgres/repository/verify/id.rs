//! The check that a row is found by its id, and by an index.

use std::any::type_name;

use sqlx::{AssertSqlSafe, PgConnection, Row, postgres::PgArguments};

use super::refused;
use crate::postgres::{
    error::Error,
    repository::PgRepository,
    row::PgVersioned,
    sql::{explain, quoted_table},
};

impl<T: PgVersioned> PgRepository<T> {
    /// Returns the reason why no index finds an id, if there is one. If the types of a column and its field
    /// differ, `=` may compare both as a third type without an index: a `citext` or a `char(n)` with a text.
    /// `types` are those of the columns and of the fields.
    pub(super) async fn index(
        &self,
        conn: &mut PgConnection,
        types: &[(&str, &str)],
    ) -> Result<Option<String>, Error> {
        let plan = match plan::<T>(conn).await {
            Err(error) => return refused("finds", error).map(Some),
            Ok(plan) => plan,
        };
        let mut columns = T::COLUMNS.iter().zip(types);
        let Some((column, (found, field))) =
            columns.find(|(column, _)| !is_indexed(&plan, column.name))
        else {
            return Ok(None);
        };
        let why = if found != field {
            format!(
                "it is {found}, and the field is {field}; change the column's type to {field}, or \
                 have the field's be {found}"
            )
        } else if self.has_policy(conn).await? {
            // If the type's `=` is not LEAKPROOF, a policy is evaluated first: slow, and correct.
            return Ok(None);
        } else {
            "its index has another collation than the column, or search_path lacks the \
             operators of its type"
                .to_owned()
        };
        let name = column.name;
        Ok(Some(format!("no index finds column {name}: {why}")))
    }

    async fn has_policy(&self, conn: &mut PgConnection) -> Result<bool, Error> {
        let policy = "SELECT pg_catalog.row_security_active(pg_catalog.to_regclass($1))";
        let policy = sqlx::query_scalar(policy).bind(quoted_table(T::TABLE));
        policy.fetch_one(conn).await.map_err(Error::before)
    }

    /// Returns the problem with a row of the table, if there is any: the row can't be read, or is not found by
    /// its own id.
    pub(super) async fn sample(&self, conn: &mut PgConnection) -> Result<Option<String>, Error> {
        let mut problem = None;
        // The row may be deleted between the two statements, but hardly three times in a row.
        for _ in 0..3 {
            let sample = sqlx::query(self.sql.sample.clone())
                .fetch_optional(&mut *conn)
                .await
                .map_err(Error::before)?;
            let row = match sample.as_ref().map(T::from_row) {
                None => return Ok(None),
                Some(Err(error)) => return Ok(Some(format!("a row can't be read: {error}"))),
                Some(Ok(row)) => row,
            };
            let found = self.find_in(conn, row.id()).await?;
            if found.is_some_and(|found| found.id() == row.id()) {
                return Ok(None);
            }
            problem = Some(format!(
                "the row with id {} is not found by that id: the field's type must send what it read",
                row.id()
            ));
        }
        Ok(problem)
    }
}

/// Returns the plan by which the database finds an id.
async fn plan<T: PgVersioned>(conn: &mut PgConnection) -> Result<Vec<String>, sqlx::Error> {
    let mut arguments = PgArguments::default();
    T::bind_ids(&[], &mut arguments).map_err(sqlx::Error::Encode)?;
    // Named after the type: the connection keeps it by its text. Without a name, a pooler in transaction mode would
    // prepare it on one server and run it on another.
    let types: Vec<String> = (1..=T::ID_COLUMNS)
        .map(|at| format!("pg_catalog.pg_typeof((${at})[1])::pg_catalog.text"))
        .collect();
    let settings = format!(
        "SELECT ARRAY[{}], pg_catalog.current_setting('enable_seqscan'),
            pg_catalog.current_setting('enable_bitmapscan') -- {}",
        types.join(", "),
        type_name::<T::Id>()
    );
    let settings = sqlx::query_as_with(AssertSqlSafe(settings), arguments);
    let (id_types, seqscan, bitmapscan): (Vec<String>, String, String) =
        settings.fetch_one(&mut *conn).await?;
    let explain = explain::<T>(&id_types, &seqscan, &bitmapscan);
    let plan = sqlx::raw_sql(explain).fetch_all(conn).await?;
    plan.iter().map(|line| line.try_get(0)).collect()
}

/// Returns whether the plan compares the column by an index, or reads nothing.
fn is_indexed(plan: &[String], column: &str) -> bool {
    let is_word = |it: char| it.is_alphanumeric() || it == '_' || it == '$';
    let name = column.replace('"', "\"\"");
    // The plan's text is split at line breaks, also at those of the name, which is quoted then.
    let shown = name.replace('\n', " ");
    let plan = plan.join("\n");
    let plan = plan.replace(&format!("\"{name}\""), &format!("\"{shown}\""));
    plan.lines().map(str::trim).any(|line| {
        line == "One-Time Filter: false"
            || line.strip_prefix("Index Cond: ").is_some_and(|condition| {
                condition.match_indices(&shown).any(|(at, found)| {
                    !condition[..at].ends_with(is_word)
                        && !condition[at + found.len()..].starts_with(is_word)
                })
            })
    })
}

#[cfg(test)]
mod tests {
    use super::is_indexed;

    #[test]
    fn only_an_index_condition_on_the_id_counts() {
        for (line, column, indexed) in [
            ("  Index Cond: (id = $0)", "id", true),
            ("  Index Cond: (id = (InitPlan 1).col1)", "id", true),
            ("Index Cond: ((id)::text = $0)", "id", true),
            ("Index Cond: (\"Odd \"\"id\"\"\" = $0)", "Odd \"id\"", true),
            ("  Filter: (id = $0)", "id", false),
            ("  Index Cond: (tenant_id = 7)", "id", false),
            ("  Index Cond: (id_2 = 7)", "id", false),
            ("  ->  Index Scan using id on accounts t", "id", false),
            ("  One-Time Filter: false", "id", true),
        ] {
            assert_eq!(is_indexed(&[line.to_owned()], column), indexed, "{line}");
        }
    }

    #[test]
    fn a_line_break_of_the_name_does_not_end_the_condition() {
        let plan = |lines: [&str; 2]| lines.map(str::to_owned);
        let split = plan(["  Index Cond: (\"a", "b\" = $0)"]);
        assert!(is_indexed(&split, "a\nb"));
        assert!(!is_indexed(&split, "a b"));
        let false_end = plan(["  Filter: (\"a", "One-Time Filter: false\" = $0)"]);
        assert!(!is_indexed(&false_end, "a\nOne-Time Filter: false"));
    }
}

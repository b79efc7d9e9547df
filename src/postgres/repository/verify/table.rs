//! The table, its columns and its key, in PostgreSQL's catalogue.

use sqlx::{PgConnection, Row, postgres::PgRow};

use crate::postgres::{
    classify::is_forbidden,
    error::Error,
    row::{Column, PgVersioned, Role},
    sql::quoted_table,
};

/// Returns one row per column of the table. `$1` is the table's name, quoted.
const COLUMNS: &str = "SELECT a.attname AS name, a.attnotnull AS not_null,
        a.attgenerated <> '' OR a.attidentity = 'a' AS generated,
        a.attgenerated <> '' OR a.attidentity <> '' OR a.atthasdef AS filled,
        pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS \"default\",
        pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS selects,
        pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'INSERT') AS inserts,
        pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'UPDATE') AS updates
    FROM pg_catalog.pg_attribute a
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped";

/// Returns whether the relation is a table, which tables inherit from it other than as its partitions, whether exactly
/// the columns of the id have a unique index that is not deferrable (null: no unique index), and whether one of them
/// begins an index (for a partitioned table: of a partition). `$1` is the table's name, quoted, `$2` the columns of the
/// id.
const TABLE: &str = "SELECT c.relkind IN ('r', 'p') AS is_table,
        pg_catalog.has_table_privilege(c.oid, 'DELETE') AS deletes,
        ARRAY(SELECT i.inhrelid::pg_catalog.regclass::pg_catalog.text FROM pg_catalog.pg_inherits i
            WHERE i.inhparent = c.oid AND c.relkind = 'r' ORDER BY 1) AS children,
        (SELECT pg_catalog.bool_or(i.indimmediate) FROM pg_catalog.pg_index i
            WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                AND i.indnkeyatts = pg_catalog.cardinality($2)
                AND (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = c.oid AND a.attname = ANY ($2::name[])
                        AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])) = i.indnkeyatts) AS immediate_key,
        EXISTS (SELECT FROM (SELECT c.oid AS relid
                UNION ALL SELECT p.relid FROM pg_catalog.pg_partition_tree(c.oid) p
                UNION ALL SELECT h.inhrelid FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid) parts
            JOIN pg_catalog.pg_index i ON i.indrelid = parts.relid
            JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attname = ANY ($2::name[])
            WHERE i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum) AS has_index
    FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)";

/// Returns the problems of the table, its columns and its key.
pub(super) async fn check_table<T: PgVersioned>(
    conn: &mut PgConnection,
) -> Result<Vec<String>, Error> {
    let name = quoted_table(T::TABLE);
    let ids = T::COLUMNS[..T::ID_COLUMNS].iter().map(|id| id.name);
    let table = sqlx::query(TABLE)
        .bind(&name)
        .bind(ids.collect::<Vec<_>>())
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
    let children: Vec<String> = table.try_get("children")?;
    if !T::UNIQUE_ID && !children.is_empty() {
        problems.push(format!(
            "an id may be there twice, as {} inherits from it: use partitions, or take it out by NO \
             INHERIT, or promise `as unique`",
            children.join(", ")
        ));
    }
    if !table.try_get::<bool, _>("deletes")? {
        problems.push("this role may not DELETE from it".to_owned());
    }
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
    if problems.is_empty() && !T::UNIQUE_ID {
        match table.try_get("immediate_key")? {
            Some(true) => {}
            Some(false) if T::GENERATED_ID => {}
            Some(false) => problems.push(
                "the unique index of the id is deferrable, and `insert_all` and `upsert` can't use it: make \
                 it NOT DEFERRABLE, or promise `as unique`"
                    .to_owned(),
            ),
            None => problems.push("the id has no unique index of its own".to_owned()),
        }
    }
    if problems.is_empty() && !table.try_get::<bool, _>("has_index")? {
        problems
            .push("the id begins no index: each operation would read the whole table".to_owned());
    }
    Ok(problems)
}

fn of_column<T: PgVersioned>(column: &Column, found: &PgRow) -> Result<Vec<String>, Error> {
    let (name, role) = (column.name, column.role);
    let mut problems = Vec::new();
    if matches!(role, Role::Version) {
        if !found.try_get("not_null")? {
            problems.push(format!("column {name} may be NULL"));
        }
        let default: Option<&str> = found.try_get("default")?;
        if let Some(default) = default.and_then(constant)
            && default < T::VERSION.from
        {
            let from = T::VERSION.from;
            problems.push(format!(
                "column {name} has the default {default}, and versions begin at {from}: SET DEFAULT {from}"
            ));
        }
    }
    let generated: bool = found.try_get("generated")?;
    match role {
        Role::Id if T::GENERATED_ID && !found.try_get("filled")? => {
            problems.push(format!("column {name} has no default that makes an id"));
        }
        Role::Id if !T::GENERATED_ID && generated => {
            problems.push(format!(
                "column {name} is generated: mark the id `as generated`"
            ));
        }
        Role::Written(_) if generated => {
            problems.push(format!(
                "column {name} is generated: it belongs into read_only"
            ));
        }
        _ => {}
    }
    let (inserted, updated) = match role {
        Role::Id => (!T::GENERATED_ID, false),
        Role::Version | Role::Written(_) => (true, true),
        Role::OnUpdate(_) => (false, true),
        Role::ReadOnly => (false, false),
    };
    let mut missing = Vec::new();
    for (needed, right, may) in [
        (true, "SELECT", "selects"),
        (inserted, "INSERT", "inserts"),
        (updated, "UPDATE", "updates"),
    ] {
        if needed && !found.try_get(may)? {
            missing.push(right);
        }
    }
    if !missing.is_empty() {
        let rights = missing.join(" or ");
        problems.push(format!("this role may not {rights} column {name}"));
    }
    Ok(problems)
}

/// A default's number, if it is one, as the catalogue shows it: `0`, `'0'::bigint`, `(0)::bigint`.
fn constant(default: &str) -> Option<i64> {
    let (number, _) = default.split_once("::").unwrap_or((default, ""));
    number.trim_matches(['(', ')', '\'', ' ']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::constant;

    #[test]
    fn a_default_is_read_only_if_it_is_a_number() {
        for (default, number) in [
            ("0", Some(0)),
            ("'0'::bigint", Some(0)),
            ("(0)::bigint", Some(0)),
            ("'-1'::integer", Some(-1)),
            ("('-1'::integer)::bigint", Some(-1)),
            ("1", Some(1)),
            ("nextval('bank.versions'::regclass)", None),
            ("(1 - 1)", None),
            ("length('0'::text)", None),
        ] {
            assert_eq!(constant(default), number, "{default}");
        }
    }
}

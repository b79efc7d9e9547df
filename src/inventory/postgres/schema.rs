//! The schema of a shop's tables, and a connection whose statements name it.

use std::{
    borrow::Cow,
    collections::HashMap,
    fmt,
    ops::{Deref, DerefMut},
    sync::{Arc, PoisonError, RwLock},
};

use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr, SqlStr};

use super::dialect::Dialect;
use crate::inventory::model::InvalidValue;

/// The schema that the files of statements and migrations name.
const DEFAULT: &str = "optilock";

/// A schema with the tables of one shop. Its clones share the texts of its statements.
#[derive(Clone)]
pub(crate) struct Schema(Arc<Texts>);

struct Texts {
    name: String,
    /// The name as SQL, with the dot behind it; `None` if the texts are those of the files.
    prefix: Option<String>,
    dialect: Dialect,
    /// By the address and the length of the text of the file: to hash a text of some kilobytes takes longer.
    texts: RwLock<HashMap<(usize, usize), Arc<str>>>,
    /// Texts of another version of the crate, by those of the files.
    replaced: HashMap<&'static str, String>,
}

impl Schema {
    /// Names a schema.
    ///
    /// # Errors
    ///
    /// When PostgreSQL would refuse or shorten the name, or reserves it.
    pub(crate) fn new(name: &str) -> Result<Self, InvalidValue> {
        let problem = match name {
            "" => Some("it is empty"),
            _ if name.len() > 63 => Some("it has more than 63 bytes"),
            _ if name.contains('\0') => Some("it contains NUL"),
            _ if name.starts_with("pg_") || name == "information_schema" => {
                Some("PostgreSQL reserves it")
            }
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(InvalidValue::new("schema", format!("{name:?}: {problem}")));
        }
        Ok(Self::of(name, Dialect::default(), HashMap::new()))
    }

    fn of(name: &str, dialect: Dialect, replaced: HashMap<&'static str, String>) -> Self {
        let is_of_files = name == DEFAULT && dialect == Dialect::default() && replaced.is_empty();
        let prefix = || format!("{}.", quoted(name));
        Self(Arc::new(Texts {
            name: name.to_owned(),
            prefix: (!is_of_files).then(prefix),
            dialect,
            texts: RwLock::default(),
            replaced,
        }))
    }

    /// Returns this schema with texts of another version instead of those of the files.
    pub(crate) fn replacing(&self, replaced: HashMap<&'static str, String>) -> Self {
        Self::of(self.name(), self.dialect(), replaced)
    }

    /// Returns this schema on an engine with this dialect.
    pub(crate) fn with_dialect(&self, dialect: Dialect) -> Self {
        Self::of(self.name(), dialect, self.0.replaced.clone())
    }

    pub(crate) fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the name as SQL.
    pub(crate) fn quoted(&self) -> String {
        quoted(&self.0.name)
    }

    /// Returns a text with this schema instead of the default one. Literals keep their `'optilock.`.
    pub(crate) fn rewrite<'t>(&self, sql: &'t str) -> Cow<'t, str> {
        let Some(prefix) = &self.0.prefix else {
            return sql.into();
        };
        let mut parts = sql.split("optilock.");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            text += if text.ends_with('\'') {
                "optilock."
            } else {
                prefix
            };
            text += part;
        }
        text.into()
    }

    /// Returns a statement of the crate's files for this schema.
    pub(crate) fn statement(&self, sql: &'static str) -> SqlStr {
        if self.0.prefix.is_none() {
            return sql.into_sql_str();
        }
        let key = (sql.as_ptr().addr(), sql.len());
        let texts = &self.0.texts;
        let known = texts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known.get(&key) {
            return AssertSqlSafe(Arc::clone(text)).into_sql_str();
        }
        drop(known);
        let source = self.0.replaced.get(sql).map_or(sql, String::as_str);
        let text: Arc<str> = self.rewrite(&self.0.dialect.statement(source)).into();
        let mut known = texts.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(key, Arc::clone(&text));
        AssertSqlSafe(text).into_sql_str()
    }

    /// Returns the connection with this schema.
    pub(crate) const fn on<'c>(&'c self, conn: &'c mut PgConnection) -> SchemaConnection<'c> {
        SchemaConnection { conn, schema: self }
    }
}

fn quoted(name: &str) -> String {
    if name == DEFAULT {
        return name.to_owned();
    }
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Default for Schema {
    fn default() -> Self {
        Self::of(DEFAULT, Dialect::default(), HashMap::new())
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schema").field(&self.0.name).finish()
    }
}

/// A connection, and the schema that its statements name.
#[derive(Debug)]
pub(crate) struct SchemaConnection<'c> {
    conn: &'c mut PgConnection,
    schema: &'c Schema,
}

impl SchemaConnection<'_> {
    /// Returns a statement of the crate's files for the schema of this connection.
    pub(crate) fn sql(&self, statement: &'static str) -> SqlStr {
        self.schema.statement(statement)
    }

    /// Returns a text for the schema of this connection.
    pub(crate) fn rewrite<'t>(&self, sql: &'t str) -> Cow<'t, str> {
        self.schema.rewrite(sql)
    }

    /// Returns the same connection for a part of its time.
    pub(crate) const fn reborrow(&mut self) -> SchemaConnection<'_> {
        self.schema.on(self.conn)
    }
}

impl Deref for SchemaConnection<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.conn
    }
}

impl DerefMut for SchemaConnection<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.conn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_postgresql_refuses_are_refused() {
        for name in ["", "pg_shop", "information_schema", "a\0b", &"x".repeat(64)] {
            assert!(Schema::new(name).is_err(), "{name:?}");
        }
        assert_eq!(
            Schema::new("Ana's \"shop\"").unwrap().name(),
            "Ana's \"shop\""
        );
    }

    #[test]
    fn a_name_is_quoted_and_literals_stay() {
        let schema = Schema::new("Ana's \"shop\"").unwrap();
        let sql = "SELECT ('optilock.suppressed ' || x) FROM optilock.products, optilock.orders";
        let text = "SELECT ('optilock.suppressed ' || x) FROM \"Ana's \"\"shop\"\"\".products, \
                    \"Ana's \"\"shop\"\"\".orders";
        assert_eq!(schema.rewrite(sql), text);
        assert_eq!(schema.statement(sql).as_str(), text);
        assert_eq!(schema.statement(sql).as_str(), text);
        assert_eq!(Schema::default().statement(sql).as_str(), sql);
        let before = "SELECT FROM optilock.orders".to_owned();
        let other = schema.replacing([(sql, before.clone())].into());
        assert_eq!(other.statement(sql).as_str(), schema.rewrite(&before));
        let other = Schema::default().replacing([(sql, before.clone())].into());
        assert_eq!(other.statement(sql).as_str(), before);
        assert_eq!(other.statement("optilock.x").as_str(), "optilock.x");
    }
}

use std::collections::HashMap;

use super::*;
use crate::inventory::statements_in;

const OTHERS: [Dialect; 3] = [
    Dialect::CockroachDb,
    Dialect::YugabyteDb,
    Dialect::AuroraDsql,
];

#[test]
fn no_text_has_what_its_engine_refuses() {
    for dialect in OTHERS {
        let mut refused = vec![
            "USING brin",
            "UNLOGGED",
            "fillfactor",
            "advisory",
            "FOR SHARE",
        ];
        if dialect == Dialect::AuroraDsql {
            refused.extend(["NO KEY", "CONCURRENTLY"]);
        }
        let texts = statements_in(dialect);
        for (name, text) in &texts {
            for refused in &refused {
                assert!(
                    !text.contains(refused),
                    "{dialect:?}: {name} has {refused:?}"
                );
            }
            let creates = text.trim_start().contains("CREATE TABLE");
            if creates && dialect != Dialect::YugabyteDb {
                assert!(!text.contains("COLLATE"), "{dialect:?}: {name}");
            }
            if text.contains("INDEX") && dialect == Dialect::AuroraDsql {
                assert!(text.contains("INDEX ASYNC"), "{name}: {text}");
            }
        }
        assert!(texts.len() > 90, "{}", texts.len());
    }
}

/// CockroachDB refuses a statement that writes a table twice.
#[test]
fn a_statement_writes_each_table_once() {
    const EXCEPT: [&str; 4] = [
        "products::ADD",
        "batch::MIXED",
        "batch::MIXED_OUTBOX",
        "archive::CLOSE_LEDGERS",
    ];
    let mut twice = Vec::new();
    for (name, text) in statements_in(Dialect::CockroachDb) {
        let mut writes = HashMap::new();
        for write in [
            "INSERT INTO optilock.",
            "DELETE FROM optilock.",
            "UPDATE optilock.",
        ] {
            for part in text.split(write).skip(1) {
                let table = part.split([' ', '(', '\n']).next().unwrap();
                *writes.entry(table.to_owned()).or_insert(0) += 1;
            }
        }
        if writes.values().any(|writes| *writes > 1) {
            twice.push(name);
        }
    }
    twice.sort();
    let mut except = EXCEPT.map(str::to_owned);
    except.sort();
    assert_eq!(twice, except);
}

#[test]
fn what_differs_is_replaced() {
    let lock = "SELECT FROM optilock.products FOR NO KEY UPDATE SKIP LOCKED";
    assert_eq!(Dialect::CockroachDb.statement(lock), lock);
    let update = "SELECT FROM optilock.products FOR UPDATE SKIP LOCKED";
    assert_eq!(Dialect::AuroraDsql.statement(lock), update);
    let index = "CREATE UNIQUE INDEX IF NOT EXISTS i ON optilock.t USING brin (a);";
    assert_eq!(Dialect::PostgreSql.step(index).unwrap(), index);
    let plain = "CREATE UNIQUE INDEX IF NOT EXISTS i ON optilock.t (a);";
    assert_eq!(Dialect::YugabyteDb.step(index).unwrap(), plain);
    let asynchronous = "CREATE UNIQUE INDEX ASYNC IF NOT EXISTS i ON optilock.t (a);";
    assert_eq!(Dialect::AuroraDsql.step(index).unwrap(), asynchronous);
    let column = "CREATE TABLE IF NOT EXISTS t (sku text COLLATE \"C\" NOT NULL);";
    let bare = "CREATE TABLE IF NOT EXISTS t (sku text NOT NULL);";
    assert_eq!(Dialect::CockroachDb.step(column).unwrap(), bare);
    assert_eq!(Dialect::YugabyteDb.step(column).unwrap(), column);
    let setting = "ALTER TABLE optilock.products SET (fillfactor = 70);";
    assert_eq!(Dialect::CockroachDb.step(setting), None);
}

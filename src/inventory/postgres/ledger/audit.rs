//! The audit, in one statement and so in one snapshot.

use sqlx::Row;

use crate::inventory::{
    model::{Audit, Discrepancy, DiscrepancyKind, Error},
    postgres::{row::impossible, schema::SchemaConnection, sql},
};

pub(crate) async fn audit(conn: &mut SchemaConnection<'_>) -> Result<Audit, Error> {
    let most = i64::try_from(Audit::MAX_OF_A_KIND).unwrap_or(i64::MAX);
    let rows = sqlx::query(conn.sql(sql::ledger::AUDIT))
        .bind(most)
        .fetch_all(&mut **conn)
        .await;
    let mut discrepancies = Vec::new();
    for row in rows.map_err(Error::before)? {
        let code: i16 = row.try_get("kind")?;
        let kind = DiscrepancyKind::of_code(code)
            .ok_or_else(|| impossible(format!("{code} is no kind of discrepancy")))?;
        let (expected, found) = (row.try_get("expected")?, row.try_get("found")?);
        let subject: String = row.try_get("subject")?;
        discrepancies.push(Discrepancy::new(kind, subject, expected, found));
    }
    Ok(Audit::new(discrepancies))
}

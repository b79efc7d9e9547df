//! The audit, in ranges: each in one statement and so in one snapshot.

use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::inventory::{
    model::{
        Audit, AuditPosition, AuditRange, Discrepancy, DiscrepancyKind, Error,
        audit::{LedgerPlace, Place},
    },
    postgres::{
        executor::{Executor, Work},
        row::impossible,
        schema::SchemaConnection,
        sql,
    },
};

/// The limit of a range of a whole audit: about a tenth of a second.
const LIMIT: u32 = 50_000;

/// Audits everything, each range with an attempt of its own.
pub(crate) async fn audit(executor: &Executor) -> Result<Audit, Error> {
    let mut found = Found::default();
    while let Some(position) = &found.next {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(range(conn, position, LIMIT));
        let range = executor.read("audit", work).await?;
        found.add(range);
    }
    Ok(found.audit())
}

/// Audits everything on one connection.
pub(crate) async fn audit_in(conn: &mut SchemaConnection<'_>) -> Result<Audit, Error> {
    let mut found = Found::default();
    while let Some(position) = &found.next {
        let range = range(conn, position, LIMIT).await?;
        found.add(range);
    }
    Ok(found.audit())
}

/// The discrepancies of the ranges so far.
struct Found {
    discrepancies: Vec<Discrepancy>,
    next: Option<AuditPosition>,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            discrepancies: Vec::new(),
            next: Some(AuditPosition::START),
        }
    }
}

impl Found {
    fn add(&mut self, range: AuditRange) {
        for discrepancy in range.discrepancies {
            let mut known = self.discrepancies.iter();
            let known = known.by_ref().filter(|it| it.kind == discrepancy.kind);
            if known.count() < Audit::MAX_OF_A_KIND {
                self.discrepancies.push(discrepancy);
            }
        }
        self.next = range.next;
    }

    fn audit(mut self) -> Audit {
        let order = |it: &Discrepancy| (it.kind, it.subject.clone());
        self.discrepancies.sort_by_cached_key(order);
        Audit::new(self.discrepancies)
    }
}

pub(crate) async fn range(
    conn: &mut SchemaConnection<'_>,
    position: &AuditPosition,
    limit: u32,
) -> Result<AuditRange, Error> {
    let limit = i64::from(limit.clamp(1, 100_000));
    let (rows, next) = match &position.0 {
        Place::Ledger(place) => {
            let rows = ledger(conn, place, limit).await?;
            let next = match next_in_ledger(first(&rows)?)? {
                Some(place) => Place::Ledger(place),
                None => Place::Orders(None),
            };
            (rows, Some(next))
        }
        Place::Orders(after) => {
            let rows = of_ids(conn, sql::ledger::AUDIT_ORDERS, *after, limit).await?;
            let next: Option<Uuid> = first(&rows)?.try_get("next")?;
            let next = next.map_or(Place::Reservations(None), |id| Place::Orders(Some(id)));
            (rows, Some(next))
        }
        Place::Reservations(after) => {
            let rows = of_ids(conn, sql::ledger::AUDIT_RESERVATIONS, *after, limit).await?;
            let next: Option<Uuid> = first(&rows)?.try_get("next")?;
            (rows, next.map(|id| Place::Reservations(Some(id))))
        }
    };
    let mut range = AuditRange {
        discrepancies: Vec::new(),
        next: next.map(AuditPosition),
    };
    for row in &rows {
        range.discrepancies.extend(discrepancy(row)?);
    }
    Ok(range)
}

async fn ledger(
    conn: &mut SchemaConnection<'_>,
    place: &LedgerPlace,
    limit: i64,
) -> Result<Vec<PgRow>, Error> {
    let rows = sqlx::query(conn.sql(sql::ledger::AUDIT_LEDGER))
        .bind(most())
        .bind(limit)
        .bind(&place.sku)
        .bind(place.version)
        .bind(place.stock_after)
        .bind(place.sum.to_string())
        .bind(place.count)
        .fetch_all(&mut **conn);
    rows.await.map_err(Error::before)
}

fn next_in_ledger(row: &PgRow) -> Result<Option<LedgerPlace>, Error> {
    let Some(sku) = row.try_get("next_sku")? else {
        return Ok(None);
    };
    if !row.try_get("within")? {
        return Ok(Some(LedgerPlace::before(sku)));
    }
    let sum: String = row.try_get("next_sum")?;
    let sum = sum.parse();
    Ok(Some(LedgerPlace {
        sku,
        version: row.try_get("next_version")?,
        stock_after: row.try_get("next_stock_after")?,
        sum: sum.map_err(|_| impossible("the sum of a ledger is no integer"))?,
        count: row.try_get("next_count")?,
    }))
}

async fn of_ids(
    conn: &mut SchemaConnection<'_>,
    statement: &'static str,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<PgRow>, Error> {
    let rows = sqlx::query(conn.sql(statement))
        .bind(most())
        .bind(limit)
        .bind(after)
        .fetch_all(&mut **conn);
    rows.await.map_err(Error::before)
}

fn most() -> i64 {
    i64::try_from(Audit::MAX_OF_A_KIND).unwrap_or(i64::MAX)
}

fn first(rows: &[PgRow]) -> Result<&PgRow, Error> {
    let missing = || impossible("a range of an audit has no row");
    rows.first().ok_or_else(missing)
}

/// Returns the discrepancy of a row; `None` if the row has only the position.
fn discrepancy(row: &PgRow) -> Result<Option<Discrepancy>, Error> {
    let Some(code) = row.try_get::<Option<i16>, _>("kind")? else {
        return Ok(None);
    };
    let kind = DiscrepancyKind::of_code(code);
    let kind = kind.ok_or_else(|| impossible(format!("{code} is no kind of discrepancy")))?;
    let (expected, found) = (row.try_get("expected")?, row.try_get("found")?);
    let subject: String = row.try_get("subject")?;
    Ok(Some(Discrepancy::new(kind, subject, expected, found)))
}

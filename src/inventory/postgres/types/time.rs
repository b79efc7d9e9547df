use chrono::{DateTime, Utc};
use sqlx::{
    Decode, Postgres, Type,
    error::BoxDynError,
    postgres::{PgTypeInfo, PgValueFormat, PgValueRef, types::Oid},
};

/// A TIMESTAMPTZ, decoded without sqlx's features for time: if both of them are enabled, a host's own `query!`
/// warns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) DateTime<Utc>);

/// The microseconds from the Unix epoch to 2000-01-01, where PostgreSQL counts from.
const EPOCH: i64 = 946_684_800_000_000;

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        // Fixed in PostgreSQL's pg_type.dat.
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl Decode<'_, Postgres> for Time {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Err("timestamps are read from prepared statements only".into());
        }
        let micros = i64::from_be_bytes(value.as_bytes()?.try_into()?);
        match micros {
            // "infinity" and "-infinity".
            i64::MAX => return Ok(Self(DateTime::<Utc>::MAX_UTC)),
            i64::MIN => return Ok(Self(DateTime::<Utc>::MIN_UTC)),
            _ => {}
        }
        micros
            .checked_add(EPOCH)
            .and_then(DateTime::from_timestamp_micros)
            .map(Self)
            .ok_or_else(|| format!("{micros} microseconds from 2000 are out of range").into())
    }
}

use chrono::{DateTime, Utc};
use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef, types::Oid},
};

/// A TIMESTAMPTZ, encoded and decoded without sqlx's features for time: if both of them are enabled, a host's own `query!`
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

/// The first microsecond that PostgreSQL can represent: 4714-11-24 BC.
const FIRST: i64 = -211_813_488_000_000_000;

impl Encode<'_, Postgres> for Time {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self.0.timestamp_micros().saturating_sub(EPOCH);
        // What is earlier is "-infinity".
        let micros = if micros < FIRST { i64::MIN } else { micros };
        buffer.extend(&micros.to_be_bytes());
        Ok(IsNull::No)
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

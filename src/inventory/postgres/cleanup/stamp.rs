use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, PgValueFormat, PgValueRef},
};

use crate::inventory::postgres::types::Time;

/// A TIMESTAMPTZ in the server's own units, to be sent back unchanged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp(i64);

impl Stamp {
    /// `-infinity`.
    pub(crate) const FIRST: Self = Self(i64::MIN);
}

impl Type<Postgres> for Stamp {
    fn type_info() -> PgTypeInfo {
        Time::type_info()
    }
}

impl Encode<'_, Postgres> for Stamp {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode_by_ref(&self.0, buffer)
    }
}

impl Decode<'_, Postgres> for Stamp {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Err("timestamps are read from prepared statements only".into());
        }
        Ok(Self(i64::from_be_bytes(value.as_bytes()?.try_into()?)))
    }
}

//! `Version` as a `BIGINT`. A column of a smaller type is read as well.

use sqlx::{
    Decode, Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef},
};

use crate::Version;

impl Type<Postgres> for Version {
    fn type_info() -> PgTypeInfo {
        <i64 as Type<Postgres>>::type_info()
    }

    fn compatible(found: &PgTypeInfo) -> bool {
        <i64 as Type<Postgres>>::compatible(found)
            || <i32 as Type<Postgres>>::compatible(found)
            || <i16 as Type<Postgres>>::compatible(found)
    }
}

impl PgHasArrayType for Version {
    fn array_type_info() -> PgTypeInfo {
        <i64 as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for Version {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode_by_ref(&self.get(), buffer)
    }
}

impl Decode<'_, Postgres> for Version {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let value = <i64 as Decode<Postgres>>::decode(value)?;
        Self::new(value).ok_or_else(|| format!("version {value} is below 0").into())
    }
}

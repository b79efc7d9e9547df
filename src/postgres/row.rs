//! The description of a row type's table, and the macro that writes it.

use sqlx::{
    FromRow,
    error::BoxDynError,
    postgres::{PgArguments, PgRow, PgTypeInfo},
};

use crate::Versioned;

/// A row type with a table: implemented by [`versioned_row!`](crate::versioned_row).
///
/// Its items are for the macro only and may change at any time.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a versioned row",
    note = "describe its table with `optilock::versioned_row!`, and derive `sqlx::FromRow`"
)]
pub trait PgVersioned: Versioned + for<'r> FromRow<'r, PgRow> + Send + Sync + Unpin {
    #[doc(hidden)]
    const TABLE: &'static str;
    /// Those of the id, the version, then all others.
    #[doc(hidden)]
    const COLUMNS: &'static [Column];
    /// The number of columns of the id.
    #[doc(hidden)]
    const ID_COLUMNS: usize;
    #[doc(hidden)]
    const VERSION: VersionColumn;
    /// An SQL condition that every row of this type meets; `true` for all rows.
    #[doc(hidden)]
    const ONLY: &'static str;
    /// Whether the database generates the id.
    #[doc(hidden)]
    const GENERATED_ID: bool;
    /// Whether the id is unique without an index that enforces it.
    #[doc(hidden)]
    const UNIQUE_ID: bool;
    /// Binds an id: a value for each of its columns, in order.
    #[doc(hidden)]
    fn bind_id(id: &Self::Id, arguments: &mut PgArguments) -> Result<(), BoxDynError>;
    /// Binds many ids: an array for each column, in order.
    #[doc(hidden)]
    fn bind_ids(ids: &[&Self::Id], arguments: &mut PgArguments) -> Result<(), BoxDynError>;
    /// Binds the values of the written columns, in order.
    #[doc(hidden)]
    fn bind(&self, arguments: &mut PgArguments) -> Result<(), BoxDynError>;
    /// Binds the values of the written columns of many rows: an array for each column, in order.
    #[doc(hidden)]
    fn bind_all(rows: &[&Self], arguments: &mut PgArguments) -> Result<(), BoxDynError>
    where
        Self: Sized;
    /// Returns the Rust types of the id's columns, the version and the written columns, in order.
    #[doc(hidden)]
    fn types() -> Vec<RustType>;
}

#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub role: Role,
}

#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum Role {
    Id,
    Version,
    Written(Kind),
    /// Every write sets it to this SQL expression.
    OnUpdate(&'static str),
    ReadOnly,
}

#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Scalar,
    Array,
}

/// The column of the version, as it is described.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct VersionColumn {
    pub int: Int,
    /// The least version of a row: 0 or 1.
    pub from: i64,
}

/// The integer type of a column.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Int {
    Int2,
    Int4,
    Int8,
}

impl Int {
    /// Returns the largest number of the type.
    pub(super) const fn last(self) -> i64 {
        match self {
            Self::Int2 => i16::MAX as i64,
            Self::Int4 => i32::MAX as i64,
            Self::Int8 => i64::MAX,
        }
    }

    /// Returns the type's name in the database and in `versioned_row!`.
    pub(super) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Int2 => ("INT2", "int2"),
            Self::Int4 => ("INT4", "int4"),
            Self::Int8 => ("INT8", "int8"),
        }
    }
}

/// The type of a field, and whether it can be read from a column type of the database.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct RustType {
    pub(super) info: fn() -> PgTypeInfo,
    pub(super) reads: fn(&PgTypeInfo) -> bool,
}

/// Describes the table and the columns of a row type, and implements
/// [`PgVersioned`](crate::postgres::PgVersioned) for [`PgRepository`](crate::postgres::PgRepository).
///
/// The table needs:
///
/// - a `bigint NOT NULL` column for the version, without a default below 1 (or another integer type, and
///   versions from 0, if they are described so);
/// - a unique index on exactly the columns of the id that is not partial, and no table that inherits from it other than
///   as a partition: a write of an id that names several rows fails;
/// - an id whose type `=` compares with that of the field by that index. A `String` does not find the
///   rows of a `char(n)`, and reads the whole table for a `citext`;
/// - triggers that let the version grow: an `UPDATE` after which it has not grown fails with
///   [`Suppressed`](crate::postgres::ErrorKind::Suppressed);
/// - no rule (`CREATE RULE`) on `UPDATE` or `DELETE`: PostgreSQL does not accept one in a statement that
///   asserts what it wrote.
///
/// [`verify`](crate::postgres::PgRepository::verify) checks all of these except the triggers. The struct
/// derives [`sqlx::FromRow`], which knows the columns by their names in the database.
///
/// ```
/// use optilock::{Version, postgres::PgRepository, sqlx, versioned_row};
///
/// // CREATE TABLE bank.accounts (
/// //     id       bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
/// //     owner    text   NOT NULL,
/// //     balance  bigint NOT NULL DEFAULT 0,
/// //     tags     text[] NOT NULL DEFAULT '{}',
/// //     opened   timestamptz NOT NULL DEFAULT now(),
/// //     touched  timestamptz NOT NULL DEFAULT now(),
/// //     lock_version bigint NOT NULL DEFAULT 1
/// // );
/// #[derive(Debug, sqlx::FromRow)]
/// struct Account {
///     id: i64,
///     owner: String,
///     #[sqlx(rename = "balance")]
///     cents: i64,
///     tags: Vec<String>,
///     #[sqlx(rename = "lock_version")]
///     version: Version,
/// }
///
/// versioned_row! { Account in "bank.accounts" {
///     entity: "account",
///     id: id: i64 as generated,
///     version: version = "lock_version",
///     columns: [owner, cents = "balance", tags as array],
/// } }
///
/// # fn doc(pool: optilock::sqlx::PgPool) {
/// let accounts = PgRepository::<Account>::new(pool);
/// # }
/// ```
///
/// | Part | Meaning |
/// |---|---|
/// | `Account in "bank.accounts"` | the struct, and the table with or without its schema, exactly as in the database: names are quoted. A constant is a table as well: `Account in ACCOUNTS`. For a generic struct, describe an alias: `type Cents = Account<i64>;` |
/// | `entity: "account"` | its name in errors, events and metrics |
/// | `id: field: Type` | the key; any type of sqlx that is a [`Versioned::Id`](crate::Versioned::Id). With `as generated` the database generates it, and `insert` ignores the field. With `as unique` the host guarantees that the id is unique, for a table whose indexes can't enforce it: one that is not partitioned by its id, or that others inherit from. An index that begins with the id is still required |
/// | `id: field: Type { part, .. }` | a key of several columns: see [below](#an-id-of-several-columns) |
/// | `version: field` | a field of type [`Version`](crate::Version). The column is a `bigint`, or `as int4` or `as int2`; versions begin at 1, or `from 0`: see [below](#versions-of-another-framework) |
/// | `columns: [..]` | the columns that each write sets, all of them. A field of an array column (`Vec<T>`, `Option<Vec<T>>`) is marked `as array` |
/// | `on_update: [field: "sql"]` | optional; each write sets them to an expression over the old row: `touched: "now()"`. The expression has the type of the column, by a cast if need be: `seen: "now()::text"`. `insert` uses the default of the column |
/// | `read_only: [..]` | optional; read and never written: generated columns, defaults, columns that triggers set |
/// | `only: "sql"` | optional; a condition over the row's columns. Rows that do not meet it are treated as not found: `only: "deleted_at IS NULL"` |
///
/// If a column has another name than its field, write `field = "column"`, also for the id and the version,
/// and `#[sqlx(rename = "column")]` on the field.
///
/// A struct may name fewer columns than the table has; a write does not change the others.
///
/// # An id of several columns
///
/// The id is a struct with a field for each column. It derives [`sqlx::FromRow`], its text names the row in
/// errors, and the row has it as `#[sqlx(flatten)]`. The braces after the type list the fields.
///
/// ```
/// use std::fmt;
///
/// use optilock::{Version, sqlx, versioned_row};
///
/// #[derive(Clone, Debug, PartialEq, Eq, Hash, sqlx::FromRow)]
/// struct OrderLineId { order_id: i64, line: i32 }
///
/// impl fmt::Display for OrderLineId {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         write!(f, "{}/{}", self.order_id, self.line)
///     }
/// }
///
/// // CREATE TABLE shop.order_lines (order_id bigint, line int, quantity int NOT NULL,
/// //     version bigint NOT NULL DEFAULT 1, PRIMARY KEY (order_id, line));
/// #[derive(Debug, sqlx::FromRow)]
/// struct OrderLine {
///     #[sqlx(flatten)]
///     id: OrderLineId,
///     quantity: i32,
///     version: Version,
/// }
///
/// versioned_row! { OrderLine in "shop.order_lines" {
///     entity: "order line",
///     id: id: OrderLineId { order_id, line },
///     version: version,
///     columns: [quantity],
/// } }
/// ```
///
/// # Versions of another framework
///
/// A table that Rails, Hibernate, Ecto or EF Core writes as well often has an `integer` version, from 0 or from 1:
///
/// ```
/// # use optilock::{Version, sqlx, versioned_row};
/// // CREATE TABLE articles (id bigint PRIMARY KEY, title text NOT NULL, lock_version int NOT NULL DEFAULT 0);
/// #[derive(Debug, sqlx::FromRow)]
/// struct Article {
///     id: i64,
///     title: String,
///     #[sqlx(rename = "lock_version")]
///     version: Version,
/// }
///
/// versioned_row! { Article in "articles" {
///     entity: "article",
///     id: id: i64,
///     version: version = "lock_version" as int4 from 0,
///     columns: [title],
/// } }
/// ```
///
/// A new row then begins at [`Version::ZERO`](crate::Version::ZERO). After the last number of the type, a write is refused as
/// [`VersionExhausted`](crate::postgres::ErrorKind::VersionExhausted).
#[macro_export]
macro_rules! versioned_row {
    ($row:ident in $($table:tt)::+ {
        entity: $entity:literal,
        id: $id:ident $(= $id_column:literal)? : $id_type:ty $(as $id_kind:ident)*,
        $($rest:tt)*
    }) => {
        $crate::versioned_row! { @row $row [$($table)::+] {
            entity: $entity,
            id: $id: $id_type [$($id_kind)*] [{ $id $($id_column)?; }],
            $($rest)*
        } }
    };
    ($row:ident in $($table:tt)::+ {
        entity: $entity:literal,
        id: $id:ident : $id_type:ty { $($part:ident $(= $part_column:literal)?),+ $(,)? },
        $($rest:tt)*
    }) => {
        $crate::versioned_row! { @row $row [$($table)::+] {
            entity: $entity,
            id: $id: $id_type [] [$({ $part $($part_column)?; .$part })+],
            $($rest)*
        } }
    };
    (@row $row:ident [$table:expr] {
        entity: $entity:literal,
        id: $id:ident : $id_type:ty [$($id_kind:ident)*] [$({ $part:ident $($part_column:literal)?; $($access:tt)* })+],
        version: $version:ident $(= $version_column:literal)? $(as $int:ident)? $(from $from:tt)?,
        columns: [$($field:ident $(= $column:literal)? $(as $kind:ident)?),* $(,)?]
        $(, on_update: [$($set:ident $(= $set_column:literal)? : $expression:literal),* $(,)?])?
        $(, read_only: [$($read:ident $(= $read_column:literal)?),* $(,)?])?
        $(, only: $only:literal)?
        $(,)?
    }) => {
        impl $crate::Versioned for $row {
            type Id = $id_type;
            const ENTITY: &'static str = $entity;

            fn id(&self) -> &$id_type {
                &self.$id
            }

            fn version(&self) -> $crate::Version {
                let Self { $version: version, .. } = self;
                *version
            }
        }

        impl $crate::postgres::PgVersioned for $row {
            const TABLE: &'static str = $table;
            const COLUMNS: &'static [$crate::postgres::__private::Column] = {
                use $crate::postgres::__private::{Column, Role};
                &[
                    $(Column { name: $crate::versioned_row!(@name $part $($part_column)?), role: Role::Id },)+
                    Column { name: $crate::versioned_row!(@name $version $($version_column)?), role: Role::Version },
                    $(Column {
                        name: $crate::versioned_row!(@name $field $($column)?),
                        role: Role::Written($crate::versioned_row!(@kind $($kind)?)),
                    },)*
                    $($(Column {
                        name: $crate::versioned_row!(@name $set $($set_column)?),
                        role: Role::OnUpdate($expression),
                    },)*)?
                    $($(Column {
                        name: $crate::versioned_row!(@name $read $($read_column)?),
                        role: Role::ReadOnly,
                    },)*)?
                ]
            };
            const ID_COLUMNS: usize = [$(::core::stringify!($part)),+].len();
            const VERSION: $crate::postgres::__private::VersionColumn = $crate::postgres::__private::VersionColumn {
                int: $crate::versioned_row!(@int $($int)?),
                from: $crate::versioned_row!(@from $($from)?),
            };
            const ONLY: &'static str = $crate::versioned_row!(@only $($only)?);
            const GENERATED_ID: bool = $crate::versioned_row!(@id generated $($id_kind)*);
            const UNIQUE_ID: bool = $crate::versioned_row!(@id unique $($id_kind)*);

            fn bind_id(
                id: &$id_type,
                arguments: &mut $crate::postgres::__private::PgArguments,
            ) -> ::core::result::Result<(), $crate::postgres::__private::BoxDynError> {
                $($crate::postgres::__private::bind(arguments, &(*id) $($access)*)?;)+
                ::core::result::Result::Ok(())
            }

            fn bind_ids(
                ids: &[&$id_type],
                arguments: &mut $crate::postgres::__private::PgArguments,
            ) -> ::core::result::Result<(), $crate::postgres::__private::BoxDynError> {
                $($crate::postgres::__private::bind_scalars(arguments, ids, |id: &$id_type| &(*id) $($access)*)?;)+
                ::core::result::Result::Ok(())
            }

            fn bind(
                &self,
                arguments: &mut $crate::postgres::__private::PgArguments,
            ) -> ::core::result::Result<(), $crate::postgres::__private::BoxDynError> {
                let _ = &arguments;
                $($crate::postgres::__private::bind(arguments, &self.$field)?;)*
                ::core::result::Result::Ok(())
            }

            fn bind_all(
                rows: &[&Self],
                arguments: &mut $crate::postgres::__private::PgArguments,
            ) -> ::core::result::Result<(), $crate::postgres::__private::BoxDynError> {
                let _ = (&rows, &arguments);
                $($crate::versioned_row!(@bind_all rows arguments $field $($kind)?);)*
                ::core::result::Result::Ok(())
            }

            fn types() -> ::std::vec::Vec<$crate::postgres::__private::RustType> {
                ::std::vec![
                    $($crate::postgres::__private::type_of(|row: &Self| &row.$id $($access)*),)+
                    $crate::postgres::__private::type_of(|row: &Self| &row.$version),
                    $($crate::postgres::__private::type_of(|row: &Self| &row.$field),)*
                ]
            }
        }

        const _: () = {
            $crate::postgres::__private::check(
                <$row as $crate::postgres::PgVersioned>::TABLE,
                <$row as $crate::postgres::PgVersioned>::COLUMNS,
            );
            // A misspelt field is a compile error here, and not a missing column at run time.
            let _ = |row: &$row| {
                let _ = row;
                $($(let _ = &row.$set;)*)?
                $($(let _ = &row.$read;)*)?
            };
        };
    };
    (@name $field:ident) => { $crate::postgres::__private::name(::core::stringify!($field)) };
    (@name $field:ident $column:literal) => { $column };
    (@int) => { $crate::postgres::__private::Int::Int8 };
    (@int int2) => { $crate::postgres::__private::Int::Int2 };
    (@int int4) => { $crate::postgres::__private::Int::Int4 };
    (@int int8) => { $crate::postgres::__private::Int::Int8 };
    (@int $other:ident) => {
        ::core::compile_error!(::core::concat!(
            "a version can be `as int2`, `as int4` or `as int8`, not `as ", ::core::stringify!($other), "`"
        ))
    };
    (@from) => { 1 };
    (@from 0) => { 0 };
    (@from 1) => { 1 };
    (@from $other:tt) => {
        ::core::compile_error!(::core::concat!(
            "versions begin `from 0` or `from 1`, not `from ", ::core::stringify!($other), "`"
        ))
    };
    (@kind) => { $crate::postgres::__private::Kind::Scalar };
    (@kind array) => { $crate::postgres::__private::Kind::Array };
    (@kind $other:ident) => {
        ::core::compile_error!(::core::concat!(
            "a column can be marked `as array`, not `as ", ::core::stringify!($other), "`"
        ))
    };
    (@only) => { "true" };
    (@only $only:literal) => { $only };
    (@id $asked:ident) => { false };
    (@id generated generated $($other:ident)*) => { true };
    (@id unique unique $($other:ident)*) => { true };
    (@id $asked:ident generated $($other:ident)*) => { $crate::versioned_row!(@id $asked $($other)*) };
    (@id $asked:ident unique $($other:ident)*) => { $crate::versioned_row!(@id $asked $($other)*) };
    (@id $asked:ident $wrong:ident $($other:ident)*) => {
        ::core::compile_error!(::core::concat!(
            "an id can be marked `as generated` and `as unique`, not `as ", ::core::stringify!($wrong), "`"
        ))
    };
    (@bind_all $rows:ident $arguments:ident $field:ident) => {
        $crate::postgres::__private::bind_scalars($arguments, $rows, |row| &row.$field)?
    };
    (@bind_all $rows:ident $arguments:ident $field:ident array) => {
        $crate::postgres::__private::bind_arrays($arguments, $rows, |row| &row.$field)?
    };
    (@bind_all $rows:ident $arguments:ident $field:ident $other:ident) => { () };
    ($row:ident < $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "versioned_row! describes a type without parameters: name the one that is a row, by \
             `type Name = ", ::core::stringify!($row), "<..>;`, and describe `Name in ..`"
        ));
    };
    ($($other:tt)*) => {
        ::core::compile_error!(
            "versioned_row! expects: Row in \"schema.table\" { entity: \"name\", id: field: Type, \
             version: field, columns: [field, field = \"column\", field as array], \
             on_update: [field: \"sql\"], read_only: [field], only: \"sql\" }, the last three being optional"
        );
    };
}

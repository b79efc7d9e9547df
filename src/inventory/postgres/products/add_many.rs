//! Many products at once.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::Row;
use uuid::Uuid;

use crate::{
    Versioned,
    inventory::{
        model::{Error, NewProduct, Product, Sku, product::check_text},
        postgres::{executor::Executor, schema::SchemaConnection, sql},
    },
};

/// The most products of one statement.
const LIMIT: usize = 1_000;

/// Products to add, each with the token of its movement, by SKU.
pub(crate) struct Import<'a>(BTreeMap<&'a Sku, (&'a NewProduct, Uuid)>);

impl<'a> Import<'a> {
    pub(crate) fn new(products: &'a [NewProduct]) -> Result<Self, Error> {
        let mut import = BTreeMap::new();
        for new in products {
            check_text("name", &new.name)?;
            if import.insert(&new.sku, (new, Uuid::now_v7())).is_some() {
                let why = format!("names {} twice", new.sku);
                return Err(Error::invalid("import", why));
            }
        }
        Ok(Self(import))
    }

    fn pieces(&self) -> Vec<Vec<(&'a NewProduct, Uuid)>> {
        let all: Vec<_> = self.0.values().copied().collect();
        all.chunks(LIMIT).map(<[_]>::to_vec).collect()
    }
}

/// Adds the products, each piece in a transaction of its own. Returns those that existed.
pub(crate) async fn exactly_once(
    executor: &Executor,
    import: &Import<'_>,
) -> Result<Vec<Sku>, Error> {
    let mut existing = Vec::new();
    for piece in import.pieces() {
        let piece = &piece;
        let found = executor
            .run("add products", (), &|call, attempt, _| {
                Box::pin(async move {
                    let found = executor
                        .locking_attempt(attempt, &|conn, _| Box::pin(add(conn, piece)))
                        .await?;
                    call.is_replay |= found.is_replay;
                    Ok(found)
                })
            })
            .await?;
        existing.extend(found.existing);
    }
    Ok(existing)
}

/// Adds the products in the caller's transaction. Returns those that existed.
pub(crate) async fn in_transaction(
    conn: &mut SchemaConnection<'_>,
    import: &Import<'_>,
) -> Result<Vec<Sku>, Error> {
    let mut existing = Vec::new();
    for piece in import.pieces() {
        existing.extend(add(conn, &piece).await?.existing);
    }
    Ok(existing)
}

/// What an attempt found.
struct Found {
    /// The products that another call has added.
    existing: Vec<Sku>,
    /// An earlier attempt has added some.
    is_replay: bool,
}

async fn add(
    conn: &mut SchemaConnection<'_>,
    piece: &[(&NewProduct, Uuid)],
) -> Result<Found, Error> {
    let of = |column: fn(&NewProduct) -> i64| piece.iter().map(move |(new, _)| column(new));
    let skus: Vec<&Sku> = piece.iter().map(|(new, _)| &new.sku).collect();
    let names: Vec<&str> = piece.iter().map(|(new, _)| new.name.as_str()).collect();
    let currencies = piece.iter().map(|(new, _)| new.price.currency());
    let currencies: Vec<String> = currencies.map(|it| it.to_string()).collect();
    let tokens: Vec<Uuid> = piece.iter().map(|(_, token)| *token).collect();
    let row = sqlx::query(conn.sql(sql::products::ADD_MANY))
        .bind(skus)
        .bind(names)
        .bind(of(|new| new.price.minor()).collect::<Vec<_>>())
        .bind(currencies)
        .bind(of(|new| new.stock.get()).collect::<Vec<_>>())
        .bind(tokens)
        .fetch_one(&mut **conn)
        .await
        .map_err(|error| Error::of_several(error, Product::ENTITY, "of an import"))?;
    let added: Vec<Sku> = row.try_get("added")?;
    let added: HashSet<Sku> = added.into_iter().collect();
    let mut found = Found {
        existing: Vec::new(),
        is_replay: false,
    };
    let others = piece.iter().filter(|(new, _)| !added.contains(&new.sku));
    let others: Vec<_> = others.collect();
    if others.is_empty() {
        return Ok(found);
    }
    // Read in a later snapshot: another transaction may have added them meanwhile.
    let rows = sqlx::query(conn.sql(sql::products::ADDED_BY))
        .bind(others.iter().map(|(new, _)| &new.sku).collect::<Vec<_>>())
        .fetch_all(&mut **conn)
        .await
        .map_err(Error::before)?;
    let mut known: HashMap<Sku, Option<Uuid>> = HashMap::with_capacity(rows.len());
    for row in &rows {
        known.insert(row.try_get("sku")?, row.try_get("token")?);
    }
    for (new, token) in others {
        match known.get(&new.sku) {
            Some(Some(of)) if of == token => found.is_replay = true,
            Some(_) => found.existing.push(new.sku.clone()),
            None => return Err(Error::suppressed(Product::ENTITY, &new.sku)),
        }
    }
    Ok(found)
}

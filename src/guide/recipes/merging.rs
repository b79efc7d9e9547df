use std::fmt::Debug;

use optilock::{
    Conflict, Version, Versioned,
    postgres::{Error, PgRepository, WriteOutcome},
    sqlx, versioned_row,
};

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Contact {
    pub id: i64,
    pub name: String,
    pub phone: Option<String>,
    pub street: String,
    pub city: String,
    pub version: Version,
}

versioned_row! { Contact in "shop.contacts" {
    entity: "contact",
    id: id: i64,
    version: version,
    columns: [name, phone, street, city],
} }

/// What became of an edit.
#[derive(Debug, PartialEq)]
pub enum Saved {
    /// The row has the edit, and perhaps the changes of other writers.
    Stored(Contact),
    /// Nothing was written. The user has to decide, with `current` as the next base.
    BothChanged {
        current: Contact,
        fields: Vec<FieldConflict>,
    },
}

/// A field that the user and another writer have changed to different values.
#[derive(Debug, PartialEq)]
pub struct FieldConflict {
    pub field: &'static str,
    pub base: String,
    pub mine: String,
    pub theirs: String,
}

/// Stores `mine`, which the user has made of `base`, and keeps what others have changed meanwhile.
pub async fn save(
    contacts: &PgRepository<Contact>,
    base: &Contact,
    mine: &Contact,
) -> Result<Saved, Error> {
    let mut next = Contact {
        version: base.version,
        ..mine.clone()
    };
    // Others may be faster again and again: a bound, as every loop has.
    for _ in 0..5 {
        let theirs = match contacts.compare_and_set(&next).await? {
            WriteOutcome::Written(row) => return Ok(Saved::Stored(row)),
            WriteOutcome::Stale(row) => row,
            // Not found, or suppressed: `update` returns it as an error.
            _ => return contacts.update(&next).await.map(Saved::Stored),
        };
        next = match merge(base, mine, &theirs) {
            Ok(merged) if merged == theirs => return Ok(Saved::Stored(theirs)),
            Ok(merged) => merged,
            Err(fields) => {
                let current = theirs;
                return Ok(Saved::BothChanged { current, fields });
            }
        };
    }
    let (id, expected, actual) = (next.id, base.version, next.version);
    Err(Conflict::new(Contact::ENTITY, id, expected, actual).into())
}

/// Returns the row to write at the version of `theirs`, or the fields that both have changed.
pub fn merge(
    base: &Contact,
    mine: &Contact,
    theirs: &Contact,
) -> Result<Contact, Vec<FieldConflict>> {
    let mut conflicts = Vec::new();
    let name = pick(
        "name",
        [&base.name, &mine.name, &theirs.name],
        &mut conflicts,
    );
    let phone = pick(
        "phone",
        [&base.phone, &mine.phone, &theirs.phone],
        &mut conflicts,
    );
    // One field to the user: a street of one edit in the city of the other would be wrong.
    let [b, m, t] = [base, mine, theirs].map(|row| (row.street.clone(), row.city.clone()));
    let (street, city) = pick("address", [&b, &m, &t], &mut conflicts);
    if !conflicts.is_empty() {
        return Err(conflicts);
    }
    let (id, version) = (theirs.id, theirs.version);
    Ok(Contact {
        id,
        name,
        phone,
        street,
        city,
        version,
    })
}

fn pick<T: Clone + Debug + PartialEq>(
    field: &'static str,
    [base, mine, theirs]: [&T; 3],
    conflicts: &mut Vec<FieldConflict>,
) -> T {
    if mine == base || mine == theirs {
        return theirs.clone();
    }
    if theirs != base {
        let [base, mine, theirs] = [base, mine, theirs].map(|value| format!("{value:?}"));
        conflicts.push(FieldConflict {
            field,
            base,
            mine,
            theirs,
        });
    }
    mine.clone()
}

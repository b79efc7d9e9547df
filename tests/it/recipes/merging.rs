//! Edits of one row by two users.

use optilock::{
    Version,
    postgres::{ErrorKind, PgRepository},
};

use super::database;
use crate::support::db::Db;

#[path = "../../../src/guide/recipes/merging.rs"]
mod recipe;
use recipe::{Contact, FieldConflict, Saved, merge, save};

const SQL: &str = include_str!("../../../src/guide/recipes/merging.sql");

fn contact() -> Contact {
    Contact {
        id: 7,
        name: "Ana".to_owned(),
        phone: None,
        street: "Calle 1".to_owned(),
        city: "Oaxaca".to_owned(),
        version: Version::FIRST,
    }
}

fn with_phone(base: &Contact, phone: &str) -> Contact {
    Contact {
        phone: Some(phone.to_owned()),
        ..base.clone()
    }
}

fn with_street(base: &Contact, street: &str) -> Contact {
    Contact {
        street: street.to_owned(),
        ..base.clone()
    }
}

fn with_city(base: &Contact, city: &str) -> Contact {
    Contact {
        city: city.to_owned(),
        ..base.clone()
    }
}

async fn table() -> (Db, PgRepository<Contact>, Contact) {
    let db = database(SQL).await;
    let contacts = PgRepository::new(db.pool.clone());
    contacts.verify().await.unwrap();
    let base = contacts.insert(&contact()).await.unwrap();
    (db, contacts, base)
}

#[tokio::test]
async fn edits_of_different_fields_are_both_stored() {
    let (_db, contacts, base) = table().await;
    let theirs = with_street(&base, "Calle 2");
    save(&contacts, &base, &theirs).await.unwrap();
    let saved = save(&contacts, &base, &with_phone(&base, "55")).await;
    let Saved::Stored(row) = saved.unwrap() else {
        panic!("no field was changed by both")
    };
    assert_eq!(
        (row.street.as_str(), row.phone.as_deref()),
        ("Calle 2", Some("55"))
    );
    assert_eq!(row.version.get(), 3);
    assert_eq!(contacts.get(&7).await.unwrap(), row);
}

#[tokio::test]
async fn a_field_that_both_changed_is_reported_and_decided_by_the_user() {
    let (_db, contacts, base) = table().await;
    let theirs = with_phone(&base, "55");
    save(&contacts, &base, &theirs).await.unwrap();
    let mine = with_street(&with_phone(&base, "66"), "Calle 2");
    let saved = save(&contacts, &base, &mine).await.unwrap();
    let Saved::BothChanged { current, fields } = saved else {
        panic!("both changed the phone")
    };
    let phone = FieldConflict {
        field: "phone",
        base: "None".to_owned(),
        mine: "Some(\"66\")".to_owned(),
        theirs: "Some(\"55\")".to_owned(),
    };
    assert_eq!(fields, [phone]);
    // Nothing was written, the street included.
    assert_eq!(contacts.get(&7).await.unwrap(), current);
    assert_eq!(current.street, "Calle 1");
    let Saved::Stored(row) = save(&contacts, &current, &mine).await.unwrap() else {
        panic!("the user has decided")
    };
    assert_eq!(
        (row.street.as_str(), row.phone.as_deref()),
        ("Calle 2", Some("66"))
    );
}

#[tokio::test]
async fn an_address_is_one_field() {
    let base = contact();
    let (street, city) = (with_street(&base, "Calle 2"), with_city(&base, "Puebla"));
    let conflicts = merge(&base, &street, &city).unwrap_err();
    assert_eq!(
        (conflicts.len(), conflicts[0].field),
        (1, "address"),
        "{conflicts:?}"
    );
    // The same change by both is none.
    assert_eq!(merge(&base, &street, &street).unwrap(), street);
}

/// As after an unknown outcome: the first call has written, and its answer was lost.
#[tokio::test]
async fn saving_again_writes_nothing() {
    let (_db, contacts, base) = table().await;
    let mine = with_phone(&base, "55");
    let first = save(&contacts, &base, &mine).await.unwrap();
    assert_eq!(save(&contacts, &base, &mine).await.unwrap(), first);
    assert_eq!(contacts.get(&7).await.unwrap().version.get(), 2);
}

#[tokio::test]
async fn a_deleted_row_is_not_found() {
    let (_db, contacts, base) = table().await;
    contacts.delete(&7, base.version).await.unwrap();
    let missing = save(&contacts, &base, &with_phone(&base, "55")).await;
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
}

/// Each user edits a field of their own, and the merges meet each other.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_edits_of_different_fields_are_all_stored() {
    let (_db, contacts, base) = table().await;
    let name = Contact {
        name: "Ana María".to_owned(),
        ..base.clone()
    };
    let edits = [name, with_phone(&base, "55"), with_city(&base, "Puebla")];
    let saves = edits.map(|mine| {
        let (contacts, base) = (contacts.clone(), base.clone());
        tokio::spawn(async move { save(&contacts, &base, &mine).await.unwrap() })
    });
    for save in saves {
        assert!(matches!(save.await.unwrap(), Saved::Stored(_)));
    }
    let stored = contacts.get(&7).await.unwrap();
    let merged = Contact {
        name: "Ana María".to_owned(),
        version: stored.version,
        ..with_phone(&with_city(&base, "Puebla"), "55")
    };
    assert_eq!((stored.version.get(), stored), (4, merged));
}

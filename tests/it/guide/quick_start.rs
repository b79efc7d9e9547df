//! The code of the quick starts runs, and the pages show it verbatim.

use crate::support::{db::Db, triggers::run};

const ROWS: &str = include_str!("../../../src/guide/quick_start_rows.md");
const SHOP: &str = include_str!("../../../src/guide/quick_start_shop.md");

mod rows {
    use super::*;

    include!("quick_start_rows.code");

    #[tokio::test]
    async fn a_stale_row_is_refused() {
        assert!(ROWS.contains(include_str!("quick_start_rows.code")));
        let db = Db::empty().await;
        // As a host has it: its tables are in `public`, by the default search path.
        let options = db.database.options();
        let pool = sqlx::PgPool::connect_with(options).await.unwrap();
        run(&pool, super::block(ROWS, "sql")).await;
        let accounts = open(pool).await.unwrap();
        let read = Account {
            id: 7,
            owner: "Ana".to_owned(),
            cents: 0,
            version: Version::FIRST,
        };
        accounts.insert(&read).await.unwrap();
        let after = deposit(&accounts, 7, 500).await.unwrap();
        assert_eq!((after.cents, after.version.get()), (500, 2));
        let refused = rename(&accounts, read, "Eva").await.unwrap_err();
        let text = "account 7 moved on: expected version 1, found 2";
        assert_eq!(refused.to_string(), text);
        assert!(ROWS.contains("`account 7 moved on: expected version "));
        let renamed = rename(&accounts, after, "Eva").await.unwrap();
        assert_eq!((renamed.owner.as_str(), renamed.version.get()), ("Eva", 3));
    }
}

mod shop {
    use super::*;

    include!("quick_start_shop.code");

    #[tokio::test]
    async fn a_cart_is_sold_once_and_paid_once() {
        assert!(SHOP.contains(include_str!("quick_start_shop.code")));
        let db = Db::empty().await;
        let shop = open(db.pool.clone()).await.unwrap();
        let shop_again = open(db.pool.clone()).await.unwrap();
        let pot = Sku::new("clay-pot").unwrap();
        let cart = [(pot.clone(), Quantity::new(2).unwrap())];
        let order = buy(&shop, "ana", "cart-1", &cart).await.unwrap();
        let again = buy(&shop_again, "ana", "cart-1", &cart).await.unwrap();
        assert!(again.replayed && again.id == order.id);
        let first = paid(&shop, order.id).await.unwrap();
        let second = paid(&shop, order.id).await.unwrap();
        assert!(!first.replayed && second.replayed);
        assert_eq!(shop.product(&pot).await.unwrap().stock.get(), 10);
        let rest = [(pot, Quantity::new(11).unwrap())];
        let refused = buy(&shop, "ana", "cart-2", &rest).await.unwrap_err();
        assert_eq!(refused.shortages().len(), 1);
    }
}

/// Returns the only block of this language.
fn block(page: &'static str, language: &str) -> &'static str {
    let begin = format!("```{language}\n");
    let mut blocks = page.split(&begin).skip(1);
    let block = blocks.next().and_then(|rest| rest.split("```").next());
    assert!(blocks.next().is_none(), "several blocks of {language}");
    block.unwrap()
}

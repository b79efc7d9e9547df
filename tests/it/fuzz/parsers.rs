//! Every value that is read from text, a number or JSON.

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use optilock::{
    IfMatch, Version,
    inventory::{
        Currency, Error, FeedPosition, Money, OrderId, OutboxPosition, Quantity, ReservationId,
        Sku, Stock,
    },
};
use proptest::{
    collection::vec, prelude::Just, prop_assert, prop_assert_eq, prop_oneof, strategy::Strategy,
    test_runner::TestCaseError,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    clear::{is_clear, is_invalid},
    json::{self, member, object},
    numbers::numbers,
    texts::{near, texts},
};

type Outcome = Result<(), TestCaseError>;

/// Reads a text. A value has the same text again, directly and as JSON; a refusal is clear.
fn read<T>(text: &str) -> Result<Option<T>, TestCaseError>
where
    T: FromStr<Err: Into<Error>> + Display + Serialize + DeserializeOwned + PartialEq + Debug,
{
    let as_json = serde_json::from_value::<T>(Value::String(text.to_owned()));
    let value = match text.parse::<T>() {
        Ok(value) => value,
        Err(refused) => {
            prop_assert!(as_json.is_err(), "JSON accepts {:?}", text);
            is_clear(&as_json.unwrap_err(), text)?;
            return is_invalid(refused, text).map(|()| None);
        }
    };
    prop_assert!(as_json.is_ok_and(|it| it == value), "{:?}", value);
    let again = value.to_string().parse::<T>();
    prop_assert!(again.is_ok_and(|it| it == value), "{:?}", value);
    let json = serde_json::to_string(&value).unwrap();
    prop_assert_eq!(&json, &serde_json::to_string(&value.to_string()).unwrap());
    let again = serde_json::from_str::<T>(&json);
    prop_assert!(again.is_ok_and(|it| it == value), "{}", json);
    Ok(Some(value))
}

fn is_sku(text: &str) -> Outcome {
    let read = read::<Sku>(text)?;
    let ends = text.trim().len() != text.len();
    let valid = (1..=200).contains(&text.len()) && !ends && !text.chars().any(char::is_control);
    prop_assert_eq!(read.is_some(), valid);
    read.map_or(Ok(()), |sku| {
        prop_assert_eq!(sku.as_str(), text);
        Ok(())
    })
}

fn is_currency(text: &str) -> Outcome {
    let read = read::<Currency>(text)?;
    let valid = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
    prop_assert_eq!(
        read.map(|it| it.to_string()),
        valid.then(|| text.to_owned())
    );
    Ok(())
}

/// An id is read in each of its common spellings.
fn is_id<T>(text: &str) -> Outcome
where
    T: FromStr<Err: Into<Error>> + Display + Serialize + DeserializeOwned + PartialEq + Debug,
{
    if let Some(id) = read::<T>(text)? {
        let digits = |text: &str| {
            let text = text.to_lowercase().replace(['-', '{', '}'], "");
            text.trim_start_matches("urn:uuid:").to_owned()
        };
        prop_assert_eq!(digits(&id.to_string()), digits(text));
    }
    Ok(())
}

fn is_position<T>(text: &str, parts: usize) -> Outcome
where
    T: FromStr<Err: Into<Error>> + Display + Serialize + DeserializeOwned + PartialEq + Debug,
{
    if read::<T>(text)?.is_some() {
        let mut split = text.splitn(parts, '/');
        let number = split.next().unwrap_or_default();
        prop_assert!(number.parse::<u64>().is_ok_and(|it| it <= i64::MAX as u64));
        prop_assert_eq!(split.count(), parts - 1);
    }
    Ok(())
}

fn is_version(text: &str) -> Outcome {
    match text.parse::<Version>() {
        Ok(version) => {
            prop_assert_eq!(version.to_string(), text);
            prop_assert!(version.get() >= 0);
            prop_assert_eq!(Version::from_etag(&version.etag()), Some(version));
        }
        Err(refused) => is_clear(&refused, text)?,
    }
    if let Some(version) = Version::from_etag(text) {
        prop_assert_eq!(version.etag(), text);
    }
    Ok(())
}

fn is_header(text: &str) -> Outcome {
    match text.parse::<IfMatch>() {
        Ok(IfMatch::Any) => prop_assert_eq!(text.trim_matches([' ', '\t']), "*"),
        Ok(IfMatch::Versions(versions)) => {
            for (nth, version) in versions.iter().enumerate() {
                prop_assert!(text.contains(&version.etag()), "{} is not in it", version);
                prop_assert!(!versions[..nth].contains(version), "{} twice", version);
                let read: IfMatch = text.parse().unwrap();
                prop_assert_eq!(read.check(*version), Ok(()));
            }
        }
        Err(refused) => is_clear(&refused, text)?,
    }
    Ok(())
}

/// A number is read by its constructor and as JSON in the same range.
fn is_number<T, E: Into<Error>>(
    number: i64,
    new: fn(i64) -> Result<T, E>,
    get: fn(&T) -> i64,
    range: std::ops::RangeInclusive<i64>,
) -> Outcome
where
    T: Serialize + DeserializeOwned + Debug,
{
    let as_json = serde_json::from_str::<T>(&number.to_string());
    match new(number) {
        Ok(value) => {
            prop_assert!(range.contains(&number));
            prop_assert_eq!(get(&value), number);
            prop_assert_eq!(serde_json::to_string(&value).unwrap(), number.to_string());
            prop_assert_eq!(get(&as_json.unwrap()), number);
        }
        Err(refused) => {
            prop_assert!(!range.contains(&number));
            is_clear(&as_json.unwrap_err(), "")?;
            is_invalid(refused, "")?;
        }
    }
    Ok(())
}

/// JSON is a value in its range, or a clear error.
fn is_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    text: &str,
    is_in_range: impl Fn(&T) -> bool,
) -> Outcome {
    match serde_json::from_str::<T>(text) {
        Ok(value) => {
            prop_assert!(is_in_range(&value), "{:?}", value);
            let json = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(serde_json::from_str::<T>(&json).unwrap(), value);
            Ok(())
        }
        Err(refused) => is_clear(&refused, text),
    }
}

fn ids() -> impl Strategy<Value = String> {
    near(prop_oneof![
        "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "\\{[0-9A-F]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\}",
        "(urn:uuid:)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        "[0-9a-f]{32}",
    ])
}

fn feed_positions() -> impl Strategy<Value = String> {
    near("[0-9]{1,20}/[0-9]{1,20}/[a-z/é ]{0,9}")
}

fn outbox_positions() -> impl Strategy<Value = String> {
    near("[0-9]{1,20}/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
}

fn versions() -> impl Strategy<Value = String> {
    near(prop_oneof![
        numbers().prop_map(|number| number.to_string()),
        numbers().prop_map(|number| format!("\"{number}\"")),
    ])
}

fn headers() -> impl Strategy<Value = String> {
    let tag = prop_oneof![4 => "(W/)?\"[!#-~]{0,3}\"", 4 => "\"[1-9][0-9]{0,18}\"", 1 => texts()];
    let list = vec((tag, "[ \t]{0,2},?[ \t]{0,2}"), 0..5).prop_map(|tags| {
        let tags = tags.into_iter().map(|(tag, comma)| format!("{tag}{comma}"));
        tags.collect::<String>()
    });
    prop_oneof![3 => list.clone(), 1 => near(list.boxed()), 1 => Just(" * ".to_owned())]
}

fn amounts() -> impl Strategy<Value = String> {
    object(vec![
        (
            "minor",
            member(numbers().prop_map(|number| number.to_string())),
        ),
        ("currency", member("\"(MXN|USD|XXX|mxn|[A-Z]{2,4})\"")),
    ])
}

fn money((minor, currency): (i64, String)) -> Outcome {
    let Ok(currency) = currency.parse() else {
        return Ok(());
    };
    match Money::new(minor, currency) {
        Ok(money) => {
            prop_assert!(minor >= 0);
            prop_assert_eq!((money.minor(), money.currency()), (minor, currency));
            let doubled = money.plus(money).map(Money::minor);
            prop_assert_eq!(doubled, minor.checked_mul(2));
            let most = money.times(Quantity::MAX).map(Money::minor);
            prop_assert_eq!(most, minor.checked_mul(1_000_000_000));
            Ok(())
        }
        Err(refused) => {
            prop_assert!(minor < 0);
            is_invalid(refused, "")
        }
    }
}

fuzz! {
    sku: near("[a-z0-9 _.-]{1,200}") => |text| is_sku(&text);
    currency: near("[A-Z]{2,4}") => |text| is_currency(&text);
    order_id: ids() => |text| is_id::<OrderId>(&text);
    reservation_id: ids() => |text| is_id::<ReservationId>(&text);
    feed_position: feed_positions() => |text| is_position::<FeedPosition>(&text, 3);
    outbox_position: outbox_positions() => |text| is_position::<OutboxPosition>(&text, 2);
    version_text: versions() => |text| is_version(&text);
    if_match: headers() => |text| is_header(&text);
    quantity: numbers() => |number| {
        is_number(number, Quantity::new, |it| it.get(), 1..=1_000_000_000)
    };
    stock: numbers() => |number| {
        is_number(number, Stock::new, |it| it.get(), 0..=1_000_000_000_000)
    };
    version: numbers() => |number| {
        let version = |number| Version::new(number).ok_or_else(|| "".parse::<Currency>().unwrap_err());
        is_number(number, version, |it| it.get(), 0..=i64::MAX)
    };
    amount: (numbers(), near("[A-Z]{3}")) => money;
    quantity_json: json::values() => |text| {
        is_json(&text, |it: &Quantity| (1..=1_000_000_000).contains(&it.get()))
    };
    stock_json: json::values() => |text| {
        is_json(&text, |it: &Stock| (0..=1_000_000_000_000).contains(&it.get()))
    };
    version_json: json::values() => |text| is_json(&text, |it: &Version| it.get() >= 0);
    money_json: amounts() => |text| is_json(&text, |it: &Money| it.minor() >= 0);
    sku_json: member(near("[a-z0-9]{1,200}").prop_map(|it| serde_json::to_string(&it).unwrap())) => |text| {
        is_json(&text, |it: &Sku| Sku::new(it.as_str()).is_ok())
    };
    order_id_json: member(ids().prop_map(|it| serde_json::to_string(&it).unwrap())) => |text| {
        is_json(&text, |_: &OrderId| true)
    };
    feed_position_json: member(feed_positions().prop_map(|it| serde_json::to_string(&it).unwrap())) => |text| {
        is_json(&text, |_: &FeedPosition| true)
    };
    outbox_position_json: member(outbox_positions().prop_map(|it| serde_json::to_string(&it).unwrap())) => |text| {
        is_json(&text, |_: &OutboxPosition| true)
    };
}

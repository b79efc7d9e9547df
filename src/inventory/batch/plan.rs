//! The plan of a batch: each request judged in memory, in the order of arrival.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    Version,
    inventory::model::{Checkout, Money, OrderLine, Sku, checkout::Facts},
};

/// The facts of products, as of the last answer of the database.
pub(super) type Known = HashMap<Sku, Facts>;

/// The requests that can be accepted, judged by known facts, which the statement compares with the rows.
#[derive(Debug, Default)]
pub(super) struct Plan<'a> {
    /// In the order of arrival.
    pub(super) accepted: Vec<Accepted<'a>>,
    pub(super) taken: BTreeMap<&'a Sku, Taken>,
}

#[derive(Debug)]
pub(super) struct Accepted<'a> {
    /// The index of the request in the batch.
    pub(super) index: usize,
    pub(super) request: &'a Checkout,
    pub(super) total: Money,
    /// One per line.
    pub(super) prices: Vec<Money>,
}

impl Accepted<'_> {
    pub(super) fn lines(&self) -> Vec<OrderLine> {
        let lines = self.request.lines.iter().zip(&self.prices);
        lines
            .map(|(line, price)| OrderLine::new(line.sku.clone(), line.quantity, *price))
            .collect()
    }
}

/// The units that the accepted requests take of one product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) units: i64,
    pub(super) price: Money,
    /// The version that the product must have, if a request expects one.
    pub(super) pinned: Option<Version>,
}

/// Judges each request, all of its lines or none, against the products as the requests before it leave them.
/// A request that is not accepted has to bypass the queue; so has one whose id or key another request of the
/// batch has.
pub(super) fn plan<'a>(requests: &'a [&'a Checkout], known: &Known) -> Plan<'a> {
    let mut plan = Plan::default();
    let mut current: HashMap<&Sku, Facts> = HashMap::new();
    let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
    let mut facts = Vec::new();
    for (index, &request) in requests.iter().enumerate() {
        let key = request.key.as_deref();
        let named = key.map(|key| (request.customer.as_deref().unwrap_or_default(), key));
        if ids.contains(&request.id) || named.is_some_and(|named| keys.contains(&named)) {
            continue;
        }
        facts.clear();
        facts.extend(request.lines.iter().map(|line| {
            let facts = current.get(&line.sku).or_else(|| known.get(&line.sku));
            facts.copied()
        }));
        if request.judge(&facts).is_err() {
            continue;
        }
        let prices: Vec<Money> = facts.iter().flatten().map(|facts| facts.price).collect();
        let after: Option<Vec<Version>> = facts
            .iter()
            .flatten()
            .map(|facts| facts.version.next())
            .collect();
        let (Ok(total), Some(after)) = (request.total(prices.iter().copied()), after) else {
            continue;
        };
        for ((line, facts), after) in request.lines.iter().zip(facts.iter().flatten()).zip(after) {
            let before = known.get(&line.sku).map(|facts| facts.version);
            let taken = plan.taken.entry(&line.sku).or_insert(Taken {
                units: 0,
                price: facts.price,
                pinned: None,
            });
            taken.units += line.quantity.get();
            if line.version.is_some() {
                taken.pinned = before;
            }
            let left = Facts {
                available: facts.available - line.quantity.get(),
                version: after,
                ..*facts
            };
            current.insert(&line.sku, left);
        }
        ids.insert(request.id);
        keys.extend(named);
        plan.accepted.push(Accepted {
            index,
            request,
            total,
            prices,
        });
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::model::{Line, Quantity};

    fn sku(name: &str) -> Sku {
        Sku::new(name).unwrap()
    }

    fn cart(lines: &[(&str, i64)]) -> Checkout {
        let lines = lines.iter();
        let lines = lines.map(|(name, units)| Line::new(sku(name), Quantity::new(*units).unwrap()));
        Checkout::new(lines).unwrap()
    }

    fn known(products: &[(&str, i64)]) -> Known {
        let price = Money::new(100, "MXN".parse().unwrap()).unwrap();
        let facts = |available| Facts {
            available,
            expired: 0,
            version: Version::FIRST,
            price,
            paused: false,
            held: 0,
            raised: 0,
        };
        let products = products.iter();
        products
            .map(|(name, units)| (sku(name), facts(*units)))
            .collect()
    }

    fn accepted(requests: &[Checkout], known: &Known) -> Vec<usize> {
        let requests: Vec<&Checkout> = requests.iter().collect();
        let plan = plan(&requests, known);
        plan.accepted
            .iter()
            .map(|accepted| accepted.index)
            .collect()
    }

    #[test]
    fn a_request_is_judged_by_what_the_requests_before_it_leave() {
        let known = known(&[("jug", 1), ("pot", 5)]);
        let requests = [
            cart(&[("pot", 3)]),
            cart(&[("pot", 3)]),
            cart(&[("jug", 1), ("pot", 1)]),
            cart(&[("jug", 1)]),
            cart(&[("vase", 1)]),
            cart(&[("pot", 1)]),
        ];
        assert_eq!(accepted(&requests, &known), [0, 2, 5]);
        let requests: Vec<&Checkout> = requests.iter().collect();
        let plan = plan(&requests, &known);
        let taken: Vec<_> = plan
            .taken
            .iter()
            .map(|(sku, it)| (sku.as_str(), it.units))
            .collect();
        assert_eq!(taken, [("jug", 1), ("pot", 5)]);
    }

    #[test]
    fn an_expected_version_is_compared_in_order_of_arrival_and_pins_the_first_version() {
        let known = known(&[("pot", 5)]);
        let expecting = |version| {
            let line = Line::new(sku("pot"), Quantity::ONE);
            Checkout::new([line.expecting_version(Version::new(version).unwrap())]).unwrap()
        };
        let requests = [
            cart(&[("pot", 1)]),
            expecting(2),
            expecting(2),
            expecting(3),
        ];
        assert_eq!(accepted(&requests, &known), [0, 1, 3]);
        let requests: Vec<&Checkout> = requests.iter().collect();
        let pinned = plan(&requests, &known).taken[&sku("pot")].pinned;
        assert_eq!(pinned, Some(Version::FIRST));
    }

    #[test]
    fn of_two_requests_with_one_id_or_one_key_the_first_is_accepted() {
        let known = known(&[("pot", 9)]);
        let keyed = |customer: &str| {
            cart(&[("pot", 1)])
                .with_customer(customer)
                .with_idempotency_key("key")
        };
        let first = cart(&[("pot", 1)]);
        let requests = [
            first.clone(),
            first,
            keyed("ana"),
            keyed("ana"),
            keyed("eva"),
        ];
        assert_eq!(accepted(&requests, &known), [0, 2, 4]);
    }
}

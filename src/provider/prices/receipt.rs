use std::io::Write as _;

use crate::chat::Usage;
use crate::json::{Array, Object};
use crate::provider::models;

use super::{Price, Source, lines};

/// How the cost of `usage` at `price` came about, as JSON short enough for every record: where the price is from and
/// since when it holds, which tier of it, and for each line of the bill the bucket, the count and the rate per million
/// in nano-dollars.
///
/// ```
/// use latchkey::chat::Usage;
/// use latchkey::provider::{Bucket, Price, receipt};
/// use latchkey::units::NanoUsd;
///
/// let mut price = Price::default();
/// price.rates.set(Bucket::Input, NanoUsd::DOLLAR);
/// let usage = Usage { input_fresh: 3, ..Usage::default() };
/// let receipt = receipt(&usage, &price);
/// assert!(receipt.ends_with(r#","lines":[["input",3,1000000000]]}"#), "{receipt}");
/// ```
#[must_use]
pub fn receipt(usage: &Usage, price: &Price) -> String {
    let mut json = Vec::with_capacity(128);
    let mut object = Object::open(&mut json);
    match price.source {
        Source::Catalogue => object.string("source", &format!("catalogue {}", models::date())),
        Source::Configuration => object.string("source", "configuration"),
    };
    if let Some(from) = price.validity.from {
        object.number("from", from.0);
    }
    if let Some(tier) = price.tier_of(usage) {
        object.string("tier", tier);
    }
    if let Some(above) = price.above_of(usage) {
        object.number("above", above);
    }
    object.array("lines", |list: &mut Array<'_>| {
        if let Some((counted, rate)) = price.sold(usage) {
            let (whole, part) = (counted.thousandths / 1_000, counted.thousandths % 1_000);
            let name = counted.unit.name();
            let _ = match part {
                0 => write!(list.item(), "[\"{name}\",{whole},{}]", rate.0),
                part => write!(list.item(), "[\"{name}\",{whole}.{part:03},{}]", rate.0),
            };
            return;
        }
        for line in lines(usage, price) {
            if let Some(rate) = line.per_million {
                // Writing to memory cannot fail, and the names of buckets need no escape.
                let _ = write!(list.item(), "[\"{}\",{},{}]", line.bucket.name(), line.count, rate.0);
            }
        }
    });
    object.close();
    String::from_utf8(json).unwrap_or_default()
}

use serde::Serialize;

use crate::json::{self, FromJson, Reader, readable};
use crate::units::NanoUsd;

/// What a key is charged for what its calls cost: `cost × factor + fixed`, rounded up to whole nano-dollars.
///
/// A factor below 1 is a discount. `fixed` is charged once a call that cost something, with its first answer; a call that cost
/// nothing is charged nothing.
///
/// ```
/// use latchkey::keys::{Factor, Markup};
/// use latchkey::units::NanoUsd;
/// let markup: Markup = latchkey::json::from_str(r#"{"factor": 1.2, "fixed": 0.001}"#).expect("a mark-up");
/// assert_eq!(markup.factor, Factor(1_200_000_000));
/// assert_eq!(markup.charge(NanoUsd(5)), NanoUsd(1_000_006));
/// assert_eq!(markup.charge(NanoUsd::ZERO), NanoUsd::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Markup {
    /// What the cost is multiplied with.
    pub factor: Factor,
    /// What is added to it for each call.
    pub fixed: NanoUsd,
}
readable! { Markup { factor, fixed } }

/// A factor in billionths; in JSON a number with at most 9 decimals, such as `1.15`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Factor(pub i64);

/// One, in billionths.
const WHOLE: i64 = 1_000_000_000;

impl Markup {
    /// What a call that costs `cost` is charged.
    #[must_use]
    pub fn charge(&self, cost: NanoUsd) -> NanoUsd {
        if cost <= NanoUsd::ZERO { NanoUsd::ZERO } else { self.charge_part(cost) + self.fixed }
    }

    /// What a part of a call is charged, such as an attempt that another one followed: without the fixed amount.
    #[must_use]
    pub fn charge_part(&self, cost: NanoUsd) -> NanoUsd {
        let exact = i128::from(cost.0) * i128::from(self.factor.0);
        let rounded = (exact + i128::from(WHOLE) - 1).div_euclid(i128::from(WHOLE));
        NanoUsd(i64::try_from(rounded).unwrap_or(i64::MAX))
    }

    /// What is charged above a cost that the caller pays the provider directly: never less than nothing.
    #[must_use]
    pub fn surcharge(&self, cost: NanoUsd) -> NanoUsd {
        (self.charge(cost) - cost).max(NanoUsd::ZERO)
    }
}

impl Default for Factor {
    fn default() -> Factor {
        Factor(WHOLE)
    }
}

impl Serialize for Factor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A factor has the form of an amount: decimals that never go through a float.
        NanoUsd(self.0).serialize(serializer)
    }
}

impl<'a> FromJson<'a> for Factor {
    fn from_json(reader: &mut Reader<'a>) -> Result<Factor, json::Error> {
        NanoUsd::from_json(reader)
            .map(|NanoUsd(billionths)| Factor(billionths))
            .map_err(|_| json::Error::data("expected a number with at most 9 decimals"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn examples_worked_by_hand() {
        let markup = |factor: &str, fixed| Markup {
            factor: crate::json::from_str(factor).expect("a factor"),
            fixed: NanoUsd(fixed),
        };
        assert_eq!(Markup::default().charge(NanoUsd(123)), NanoUsd(123));
        assert_eq!(markup("1.1", 0).charge(NanoUsd(10)), NanoUsd(11));
        assert_eq!(markup("1.1", 0).charge(NanoUsd(11)), NanoUsd(13), "12.1, rounded up");
        assert_eq!(markup("0.5", 0).charge(NanoUsd(3)), NanoUsd(2), "a discount, rounded up");
        assert_eq!(markup("0", 7).charge(NanoUsd(1_000)), NanoUsd(7), "a flat fee");
        assert_eq!(markup("1.25", 100).charge(NanoUsd(8)), NanoUsd(110));
        assert_eq!(markup("1.25", 100).charge(NanoUsd::ZERO), NanoUsd::ZERO, "what is free stays free");
        assert_eq!(markup("1.25", 100).surcharge(NanoUsd(8)), NanoUsd(102));
        assert_eq!(markup("0.5", 0).surcharge(NanoUsd(8)), NanoUsd::ZERO);
        assert_eq!(
            serde_json::to_string(&markup("1.15", 1_000_000)).expect("JSON"),
            r#"{"factor":1.15,"fixed":0.001}"#
        );
    }

    proptest! {
        #[test]
        fn no_nano_dollar_is_lost_or_made_up(cost in 1i64..1 << 53, factor in 0i64..100 * WHOLE, fixed in 0i64..1 << 40) {
            let markup = Markup { factor: Factor(factor), fixed: NanoUsd(fixed) };
            let charged = i128::from(markup.charge(NanoUsd(cost)).0 - fixed) * i128::from(WHOLE);
            let exact = i128::from(cost) * i128::from(factor);
            prop_assert!(charged >= exact && charged - exact < i128::from(WHOLE), "rounded up, and by less than one");
        }

        #[test]
        fn parts_cost_no_less_than_the_whole(first in 1i64..1 << 50, second in 1i64..1 << 50, factor in 0i64..100 * WHOLE) {
            let markup = Markup { factor: Factor(factor), fixed: NanoUsd(9) };
            let parts = markup.charge_part(NanoUsd(first)) + markup.charge(NanoUsd(second));
            let whole = markup.charge(NanoUsd(first) + NanoUsd(second));
            prop_assert!(whole <= parts && parts - whole <= NanoUsd(1));
        }

        #[test]
        fn without_a_mark_up_the_charge_is_the_cost(cost in 0i64..i64::MAX) {
            prop_assert_eq!(Markup::default().charge(NanoUsd(cost)), NanoUsd(cost));
        }
    }
}

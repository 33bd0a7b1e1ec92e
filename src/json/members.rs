use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Raw;

/// The members of an object in the order in which they were written. A repeated key is there twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members<'a>(pub Vec<(String, Raw<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'a>, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((key, Raw::from_raw(value)));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_writing_is_kept() {
        let members: Members<'_> = serde_json::from_str(r#"{"z":1, "a":[2], "\u006d": {"b":0}}"#).expect("an object");
        let shown: Vec<(&str, &str)> = members.0.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
        assert_eq!(shown, [("z", "1"), ("a", "[2]"), ("m", r#"{"b":0}"#)]);
        assert!(serde_json::from_str::<Members<'_>>("[1]").is_err());
    }
}

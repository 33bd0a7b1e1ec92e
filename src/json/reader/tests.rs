use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::json::{Raw, Text};
use crate::sorted::SortedMap;

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choice {
    One,
    Two(u8),
    Three { a: Option<bool> },
}

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default)]
struct All<'a> {
    #[serde(borrow)]
    a: Option<Cow<'a, str>>,
    e: Option<Vec<(i64, f64)>>,
    t: SortedMap<u32, String>,
    l: Vec<Choice>,
    u: Option<serde_json::Value>,
    r: Option<u64>,
}

const JSON: &str = r#" {"a":"\u00e9\n", "e":[[-1,2],[3,4.5e1]],"t":{"7":"x"},"ignored":[{"a":null}],
    "l":["one",{"two":2},{"three":{"a":true}}],"u":{"a":[1,-1,1.5,null,"\\"]},"r":null} "#;

#[test]
fn every_shape_is_read() {
    let all = from_str::<All<'_>>(JSON).expect("all of it");
    assert_eq!(all.l, [Choice::One, Choice::Two(2), Choice::Three { a: Some(true) }]);
    assert_eq!(all, serde_json::from_str(JSON).expect("all of it"));
}

#[test]
fn values_come_as_they_were_written() {
    let json = r#"[{"a" : 1.50}, "\u00e9", [ ]]"#;
    let (raw, text, theirs) = from_str::<(Raw<'_>, Text<'_>, &RawValue)>(json).expect("three values");
    assert_eq!((raw.get(), text.escaped(), theirs.get()), (r#"{"a" : 1.50}"#, r"\u00e9", "[ ]"));
}

#[test]
fn faults_name_their_place_and_say_whether_it_is_json() {
    let fault = |json: &str| {
        let error = from_str::<All<'_>>(json).expect_err(json);
        (error.to_string(), error.is_data())
    };
    let wanted = "invalid type: string \"x\", expected u64 at line 2 column 8".to_owned();
    assert_eq!(fault("{\n \"r\":\"x\"}"), (wanted, true));
    assert_eq!(fault("{\"r\":1,}"), ("expected a key at line 1 column 7".to_owned(), false));
    assert_eq!(fault("{} x"), ("expected the end at line 1 column 3".to_owned(), false));
    assert_eq!(fault(""), ("expected a value at line 1 column 0".to_owned(), false));
    assert_eq!(fault("[]").0, "invalid type: sequence, expected struct All at line 1 column 0");
    assert!(fault("{\"a\":\"\\ud83d\"}").0.contains("half of a character"));
    let deep = format!("{{\"u\":{}", "[".repeat(200));
    assert!(fault(&deep).0.contains("within each other"));
}

proptest! {
    #[test]
    fn reads_what_serde_json_reads(json in r#"\{("[aetlur]":([0-9\-.e]{1,4}|"[a-z0-9\\n]{0,3}"|[\[\]{}",:0-9]{0,6}|null|true),?){0,3}\}?"#) {
        // It alone takes an array for a struct.
        prop_assume!(!json.contains("\"three\""));
        let (ours, theirs) = (from_str::<All<'_>>(&json), serde_json::from_str::<All<'_>>(&json));
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs, "{}", json),
            _ => prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}: {:?} {:?}", json, ours, theirs),
        }
    }

    #[test]
    fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = from_slice::<All<'_>>(&bytes);
        let _ = from_slice::<serde_json::Value>(&bytes);
    }
}

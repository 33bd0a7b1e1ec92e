use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choice {
    One,
    Two,
}
words! { Choice { One = "one", Two = "two" } }

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct All<'a> {
    #[serde(borrow)]
    a: Option<Cow<'a, str>>,
    pairs_of: Option<Vec<(i64, f64)>>,
    #[serde(deserialize_with = "sorted")]
    t: SortedMap<u32, String>,
    l: Vec<Choice>,
    #[serde(rename = "type")]
    kind: Option<u64>,
    inner: Option<Inner>,
}
readable! { camel All<'a> { a, pairs_of, t, l, kind = "type", inner } }

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default)]
struct Inner {
    is_on: bool,
    b: Option<u8>,
}
readable! { Inner { is_on, b } }

fn sorted<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SortedMap<u32, String>, D::Error> {
    Ok(BTreeMap::<u32, String>::deserialize(deserializer)?.into_iter().collect())
}

const JSON: &str = r#" {"l":["one","two"],"a":"\u00e9\n", "pairsOf":[[-1,2],[3,4.5e1]],"t":{"7":"x"},"no":[{"a":null}],
    "\u0074ype":null,"inner":{"b":7,"is_on":true}} "#;

#[test]
fn every_shape_is_read() {
    let all = from_str::<All<'_>>(JSON).expect("all of it");
    assert_eq!(
        (all.l.as_slice(), all.inner.as_ref()),
        (&[Choice::One, Choice::Two][..], Some(&Inner { is_on: true, b: Some(7) }))
    );
    assert_eq!(all, serde_json::from_str(JSON).expect("all of it"));
}

#[test]
fn faults_name_their_place_and_say_whether_it_is_json() {
    let fault = |json: &str| {
        let error = from_str::<All<'_>>(json).expect_err(json);
        (error.to_string(), error.is_data())
    };
    assert_eq!(fault("{\n \"type\":\"x\"}"), ("expected a number (u64) at line 2 column 11".to_owned(), true));
    assert_eq!(fault("{\"l\":[\"no\"]}"), ("`no` is none of `one`, `two` at line 1 column 10".to_owned(), true));
    assert_eq!(fault("{\"type\":1,\"type\":null}"), ("duplicate field `type` at line 1 column 17".to_owned(), true));
    assert_eq!(fault("{\"r\":1,}"), ("expected a key at line 1 column 7".to_owned(), false));
    assert_eq!(fault("{} x"), ("expected the end at line 1 column 3".to_owned(), false));
    assert_eq!(fault(""), ("expected an object at line 1 column 0".to_owned(), true));
    assert_eq!(fault("[]"), ("expected an object at line 1 column 0".to_owned(), true));
    assert!(fault("{\"a\":\"\\ud83d\"}").0.contains("half of a character"));
    assert!(from_slice::<All<'_>>(b"{\"a\":\"\xff\"}").expect_err("no UTF-8").to_string().contains("UTF-8"));
}

proptest! {
    #[test]
    fn reads_what_serde_json_reads(json in r#"\{("(a|t|l|type|inner|pairsOf|pairs_of)":([0-9\-.e]{1,4}|"[a-z0-9\\n]{0,3}"|[\[\]{}",:0-9]{0,6}|null|true|\{"is_on":true\}),?){0,3}\}?"#) {
        let (ours, theirs) = (from_str::<All<'_>>(&json), serde_json::from_str::<All<'_>>(&json));
        match (&ours, &theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs, "{}", json),
            (Ok(_), Err(error)) => prop_assert!(false, "{}: {}", json, error),
            // It alone takes an array for a struct.
            (Err(_), Ok(all)) => prop_assert!(all.inner.is_some() && json.contains("\"inner\":["), "{}: {:?}", json, ours),
            (Err(_), Err(_)) => {}
        }
    }

    #[test]
    fn any_bytes_are_safe(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = from_slice::<All<'_>>(&bytes);
        let _ = from_slice::<Vec<All<'_>>>(&bytes);
    }
}

use super::{Error, FromJson, Raw, Reader};

/// The members of an object in the order in which they were written. A repeated key is there twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members<'a>(pub Vec<(String, Raw<'a>)>);

impl<'a> FromJson<'a> for Members<'a> {
    fn from_json(reader: &mut Reader<'a>) -> Result<Members<'a>, Error> {
        let mut members = Vec::new();
        reader.members(&mut |key, reader| {
            members.push((key.into_owned(), reader.value()?));
            Ok(())
        })?;
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_writing_is_kept() {
        let members: Members<'_> = crate::json::from_str(r#"{"z":1, "a":[2], "\u006d": {"b":0}}"#).expect("an object");
        let shown: Vec<(&str, &str)> = members.0.iter().map(|(key, value)| (key.as_str(), value.get())).collect();
        assert_eq!(shown, [("z", "1"), ("a", "[2]"), ("m", r#"{"b":0}"#)]);
        assert!(crate::json::from_str::<Members<'_>>("[1]").is_err());
    }
}

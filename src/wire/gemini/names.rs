//! Names of functions within the limits of this protocol.

use crate::json::Text;

/// Put before a name that may not stand first here, and taken off again in the answer.
const GUARD: &str = "lk__";

/// `name` as this protocol takes it: it has to begin with a letter or an underscore, while elsewhere digits and dashes
/// will do. [`restore`] is the inverse, and needs to know nothing but the name.
///
/// Source: <https://ai.google.dev/api/caching#FunctionDeclaration>.
pub(super) fn guard<'t>(name: &'t Text<'_>) -> Text<'t> {
    let escaped = name.escaped();
    let begins_well = escaped.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if begins_well && !escaped.starts_with(GUARD) {
        return name.borrowed();
    }
    Text::from_escaped(format!("{GUARD}{escaped}"))
}

/// The caller's own name for a function that the model calls.
pub(super) fn restore(name: Text<'_>) -> Text<'_> {
    match name.escaped().strip_prefix(GUARD) {
        Some(own) => Text::from_escaped(own.to_owned()),
        None => name,
    }
}

/// Whether what follows the first character is taken, too.
pub(in crate::wire) fn is_function_name(name: &Text<'_>) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    (1..=128).contains(&name.escaped().len()) && name.escaped().bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_names_that_begin_badly_change() {
        for (name, guarded) in [("get_weather", "get_weather"), ("_x", "_x"), ("2fa", "lk__2fa"), ("-f", "lk__-f")] {
            assert_eq!(guard(&Text::escape(name)).escaped(), guarded);
        }
        assert!(!is_function_name(&Text::escape("")) && !is_function_name(&Text::escape("a b")));
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "(lk__){0,2}[a-z0-9_.-]{1,8}") {
            let name = Text::escape(&name);
            let guarded = guard(&name);
            prop_assert!(guarded.escaped().starts_with(|first: char| first.is_ascii_alphabetic() || first == '_'));
            prop_assert_eq!(restore(guarded), name.clone());
        }
    }
}

//! Credentials that cannot be shown by accident.

use std::fmt;

/// A provider's key or another text that must not reach a log, an error or an answer.
///
/// `Debug` prints nothing of it and there is no `Serialize` and no `Display`: the only way to the text is
/// [`Secret::expose`], which is easy to search for. It cannot be compared with `==` either, because that would leak
/// by its timing where the two differ.
///
/// ```
/// use latchkey::secret::Secret;
/// let secret = Secret::new("sk-live".to_owned());
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// assert_eq!(secret.expose(), "sk-live");
/// ```
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    #[must_use]
    pub fn new(text: String) -> Secret {
        Secret(text)
    }

    /// The text, for the one header or signature that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

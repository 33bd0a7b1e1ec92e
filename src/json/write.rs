use super::{Number, Raw, Text};

/// Writes one JSON object member by member into a buffer. Must be [closed](Object::close).
///
/// ```
/// use latchkey::json::{Object, Text};
/// let mut out = Vec::new();
/// let mut object = Object::open(&mut out);
/// object.text("role", &Text::escape("user")).number("index", 0u64);
/// object.object("usage", |usage| { usage.null("cost"); });
/// object.close();
/// assert_eq!(out, br#"{"role":"user","index":0,"usage":{"cost":null}}"#);
/// ```
pub struct Object<'w> {
    out: &'w mut Vec<u8>,
    empty: bool,
}

impl<'w> Object<'w> {
    /// Writes `{`.
    pub fn open(out: &'w mut Vec<u8>) -> Object<'w> {
        out.push(b'{');
        Object { out, empty: true }
    }

    /// Writes `}`.
    #[inline(never)]
    pub fn close(self) {
        self.out.push(b'}');
    }

    /// Writes the key and gives the buffer for exactly one value. `key` must need no escaping.
    pub fn key(&mut self, key: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A string member, copied without unescaping.
    pub fn text(&mut self, key: &str, text: &Text<'_>) -> &mut Self {
        text.write(self.key(key));
        self
    }

    /// A string member from plain text.
    pub fn string(&mut self, key: &str, plain: &str) -> &mut Self {
        Text::escape(plain).write(self.key(key));
        self
    }

    /// A member that is JSON already.
    pub fn raw(&mut self, key: &str, raw: &Raw<'_>) -> &mut Self {
        self.key(key).extend_from_slice(raw.get().as_bytes());
        self
    }

    /// A number.
    pub fn number(&mut self, key: &str, number: impl Number) -> &mut Self {
        number.write(self.key(key));
        self
    }

    /// A boolean member.
    pub fn boolean(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key).extend_from_slice(if value { b"true" } else { b"false" });
        self
    }

    /// A `null` member.
    pub fn null(&mut self, key: &str) -> &mut Self {
        self.key(key).extend_from_slice(b"null");
        self
    }

    /// A member that is an object, written by `members`.
    pub fn object(&mut self, key: &str, members: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        let mut inner = Object::open(self.key(key));
        members(&mut inner);
        inner.close();
        self
    }

    /// A member that is an array, written by `items`.
    pub fn array(&mut self, key: &str, items: impl FnOnce(&mut Array<'_>)) -> &mut Self {
        let mut inner = Array::open(self.key(key));
        items(&mut inner);
        inner.close();
        self
    }
}

/// Writes one JSON array item by item into a buffer. Must be [closed](Array::close).
pub struct Array<'w> {
    out: &'w mut Vec<u8>,
    empty: bool,
}

impl<'w> Array<'w> {
    /// Writes `[`.
    pub fn open(out: &'w mut Vec<u8>) -> Array<'w> {
        out.push(b'[');
        Array { out, empty: true }
    }

    /// Writes `]`.
    #[inline(never)]
    pub fn close(self) {
        self.out.push(b']');
    }

    /// Whether nothing has been written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// Gives the buffer for exactly one value.
    pub fn item(&mut self) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        self.out
    }

    /// A string.
    pub fn text(&mut self, text: &Text<'_>) -> &mut Self {
        text.write(self.item());
        self
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, raw: &Raw<'_>) -> &mut Self {
        self.item().extend_from_slice(raw.get().as_bytes());
        self
    }

    /// A number.
    pub fn number(&mut self, number: impl Number) -> &mut Self {
        number.write(self.item());
        self
    }

    /// An object, written by `members`.
    pub fn object(&mut self, members: impl FnOnce(&mut Object<'_>)) -> &mut Self {
        let mut inner = Object::open(self.item());
        members(&mut inner);
        inner.close();
        self
    }
}

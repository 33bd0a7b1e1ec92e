//! What the log says beside the records of calls: lines of JSON that begin with what happened.

use std::fmt::Display;

use worker::{console_error, console_warn};

use crate::json::Object;

/// Something did not work, and somebody should see to it.
pub(super) fn failed(event: &str, error: &dyn Display) {
    console_error!("{}", line(event, error));
}

/// Something did not work that is tried again, or done without.
pub(super) fn lacked(event: &str, error: &dyn Display) {
    console_warn!("{}", line(event, error));
}

fn line(event: &str, error: &dyn Display) -> String {
    object(|said| {
        said.string("event", event).string("error", &error.to_string());
    })
}

/// One object, for the log or for the entry.
pub(super) fn object(members: impl FnOnce(&mut Object<'_>)) -> String {
    let mut out = Vec::new();
    let mut object = Object::open(&mut out);
    members(&mut object);
    object.close();
    String::from_utf8(out).unwrap_or_default()
}

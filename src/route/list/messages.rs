//! The list of models as callers of Messages read it.
//!
//! Source: <https://platform.claude.com/docs/en/api/models-list>.

use super::{Listed, Permitted};
use crate::failure::Failure;
use crate::json::Object;
use crate::provider::{Registry, models};
use crate::units::UnixMillis;

impl Registry {
    /// The body of `GET /v1/models`: all models that can be chatted with, on one page.
    #[must_use]
    pub fn messages_models_json(&self, permitted: Permitted<'_>, now: UnixMillis) -> String {
        let listed = self.chat_models(permitted, now);
        let mut out = Vec::new();
        let mut list = Object::open(&mut out);
        list.array("data", |data| {
            for model in &listed {
                data.object(|object| write(model, object));
            }
        });
        list.boolean("has_more", false);
        for (key, end) in [("first_id", listed.first()), ("last_id", listed.last())] {
            match end {
                Some(model) => list.string(key, &model.name()),
                None => list.null(key),
            };
        }
        list.close();
        String::from_utf8(out).unwrap_or_default()
    }

    /// The body of `GET /v1/models/{id}`.
    ///
    /// # Errors
    /// As [`Registry::model_json`].
    pub fn messages_model_json(&self, model: &str, permitted: Permitted<'_>) -> Result<String, Failure> {
        let (upstream, id) = self.known(model, permitted)?;
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        write(&Listed { registry: self, upstream: &upstream, id: &id, entry: None }, &mut object);
        object.close();
        Ok(String::from_utf8(out).unwrap_or_default())
    }
}

fn write(model: &Listed<'_>, object: &mut Object<'_>) {
    object.string("type", "model").string("id", &model.name());
    object.string("display_name", &format!("{} ({})", model.id, model.upstream.name));
    // When a model came out is not known: it is the catalogue's month.
    object.string("created_at", &format!("{}-01T00:00:00Z", models::date()));
}

use crate::failure::Failure;
use crate::http::{Response, Route};
use crate::keys::Grant;
use crate::units::UnixMillis;

use super::{Gateway, Incoming};

impl Gateway {
    /// Which models a key may use.
    pub(super) fn inspect(
        &self,
        grant: &Grant,
        route: &Route,
        incoming: &Incoming,
        now: UnixMillis,
    ) -> Result<Response, Failure> {
        grant.permits(now, "models", |name| incoming.header(name))?;
        let registry = &self.setup.registry;
        let permitted = |provider: &str, model: &str| self.permits(grant, provider, model, now);
        // What tells clients of Messages from all others.
        let speaks_messages = incoming.header("anthropic-version").is_some();
        let body = match route {
            Route::Model(id) if speaks_messages => registry.messages_model_json(id, &permitted)?,
            Route::Model(id) => registry.model_json(id, &permitted, now)?,
            _ if speaks_messages => registry.messages_models_json(&permitted, now),
            _ => registry.models_json(&permitted, now),
        };
        Ok(Response::json(200, body.into_bytes()))
    }
}

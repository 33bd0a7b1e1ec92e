use crate::failure::Failure;
use crate::http::{Response, Route};
use crate::keys::{self, Grant};
use crate::units::UnixMillis;

use super::{Gateway, Incoming};

impl Gateway {
    /// The routes that only read: which models a key may use, and what it may do.
    pub(super) fn inspect(
        &self,
        grant: &Grant,
        route: &Route,
        incoming: &Incoming,
        now: UnixMillis,
    ) -> Result<Response, Failure> {
        let endpoint = if matches!(route, Route::Key) { "key" } else { "models" };
        grant.permits(now, endpoint, |name| incoming.header(name))?;
        let registry = &self.setup.registry;
        let permitted = |provider: &str, model: &str| grant.permits_target(provider, model);
        let body = match route {
            Route::Models => registry.models_json(&permitted, now),
            Route::Model(id) => registry.model_json(id, &permitted, now)?,
            Route::Key | Route::Feedback | Route::Generation | Route::Call(_) | Route::CallOf(..) => {
                keys::describe(&grant.key)
            }
        };
        Ok(Response::json(200, body.into_bytes()))
    }
}

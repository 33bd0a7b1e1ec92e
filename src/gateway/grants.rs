use std::collections::HashMap;
use std::rc::Rc;

use super::Gateway;
use super::call::Call;
use crate::failure::Failure;
use crate::json::{self, Raw};
use crate::keys::{Grant, KeyHash, MaxPrice};
use crate::provider::models::Mode;
use crate::route::demands;
use crate::units::{Millis, UnixMillis};

/// Grants that this isolate has looked up, for seconds.
///
/// A revoked key stops here within [`KEPT`]; a key that was unknown a moment ago is asked for again after
/// [`MISS_KEPT`], so that one made just now works almost at once and deleted ones do not reach the database each time.
#[derive(Debug, Default)]
pub struct Grants {
    known: HashMap<KeyHash, Known>,
}

#[derive(Debug)]
struct Known {
    grant: Option<Rc<Grant>>,
    until: UnixMillis,
    /// When it was looked up.
    since: UnixMillis,
}

const KEPT: Millis = Millis(10_000);
const MISS_KEPT: Millis = Millis(2_000);
/// With nobody to look it up, a grant is gone by for so long: what a key may spend, and whether it has ended, the ledger
/// says anyway.
const KEPT_IN_OUTAGE: Millis = Millis(3_600_000);
/// A grant is a few hundred bytes; this many are a few megabytes.
const MOST: usize = 8192;

impl Gateway {
    /// Whether a key may use a model of a provider: by its name, and by what it costs at `at`.
    pub(super) fn permits(&self, grant: &Grant, provider: &str, model: &str, at: UnixMillis) -> bool {
        let MaxPrice { input, output } = grant.key.max_price;
        let is_within = || {
            // Vectors are no output that anybody asks a price of.
            let output = output.filter(|_| self.setup.registry.mode(provider, model) != Some(Mode::Embedding));
            let most = demands::MaxPrice { input, output, request: None };
            most.permits(self.setup.registry.price(provider, model, at).as_deref())
        };
        grant.permits_target(provider, model) && (grant.key.max_price == MaxPrice::default() || is_within())
    }

    /// Refuses a call to a router that names further models there which its key may not use: that chooses among them by
    /// itself.
    pub(super) fn permit_further(&self, call: &Call) -> Result<(), Failure> {
        let (Some(attempt), Some(grant)) = (&call.attempt, &call.grant) else { return Ok(()) };
        if !attempt.routes_itself || !grant.restricts_models() {
            return Ok(());
        }
        let mut further = further(&call.incoming.body)?.into_iter();
        let refused = further.find(|model| !self.permits(grant, &attempt.upstream.id, model, call.started));
        refused.map_or(Ok(()), |model| Err(Grant::model_refusal(&model)))
    }
}

/// The models that a body asks a router for beside `model`; those of a preset are known by its name alone.
///
/// Sources: <https://openrouter.ai/docs/features/model-routing>, <https://openrouter.ai/docs/features/presets>,
/// <https://vercel.com/docs/ai-gateway/models-and-providers/model-fallbacks>.
fn further(body: &[u8]) -> Result<Vec<String>, Failure> {
    let body: Raw<'_> = json::from_slice(body).unwrap_or_default();
    let options = body.member("providerOptions").and_then(|options| options.member("gateway")?.member("models"));
    let mut models: Vec<String> = Vec::new();
    for list in [body.member("models"), options].into_iter().flatten().filter(|list| !list.is_null()) {
        let unreadable = |_| Failure::bad_request("models", "`models` must be a list of strings.");
        models.extend(list.read::<Vec<String>>().map_err(unreadable)?);
    }
    let preset = body.member("preset").and_then(Raw::into_text);
    models.extend(preset.map(|preset| format!("@preset/{}", preset.decode())));
    Ok(models)
}

impl Grants {
    /// What is known of a key: nothing, that it does not exist, or its grant.
    #[must_use]
    pub fn get(&self, hash: &KeyHash, now: UnixMillis) -> Option<Option<Rc<Grant>>> {
        self.known.get(hash).filter(|known| known.until > now).map(|known| known.grant.clone())
    }

    /// Remembers the answer of a look-up.
    pub fn insert(&mut self, hash: KeyHash, grant: Option<Rc<Grant>>, now: UnixMillis) {
        if self.known.len() >= MOST {
            self.known.retain(|_, known| known.until > now);
        }
        if self.known.len() >= MOST {
            // All fresh: a flood of keys. Starting over costs one look-up each, growing costs the isolate.
            self.known.clear();
        }
        let kept = if grant.is_some() { KEPT } else { MISS_KEPT };
        self.known.insert(hash, Known { grant, until: now.plus(kept), since: now });
    }

    /// The grant of a key that was known before, now that it cannot be looked up.
    pub fn prolong(&mut self, hash: &KeyHash, now: UnixMillis) -> Option<Rc<Grant>> {
        let known = self.known.get_mut(hash).filter(|known| now.since(known.since) < KEPT_IN_OUTAGE)?;
        let grant = known.grant.clone()?;
        known.until = now.plus(KEPT);
        Some(grant)
    }

    /// Forgets all, because a key was just changed here.
    pub fn clear(&mut self) {
        self.known.clear();
    }
}

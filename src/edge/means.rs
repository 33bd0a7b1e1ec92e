//! The vectors of the configuration's phrases: kept in KV by whoever made them, and read from there by all others.

use wasm_bindgen::prelude::wasm_bindgen;
use worker::Env;

use super::{hot, log, store};
use crate::keys::Secrets;
use crate::route::meaning::Vectors;

/// The purpose under which they are sealed; the name is their fingerprint.
const PURPOSE: &str = "vectors";

/// Whether the configuration has phrases whose vectors are neither here nor in KV.
#[wasm_bindgen]
pub async fn lacks_vectors(env: Env) -> bool {
    let wanted = hot::with_gateway(|gateway| {
        let semantics = gateway.setup().config.routing.semantics.as_ref();
        let fingerprint = semantics.filter(|_| gateway.lacks_vectors())?.fingerprint();
        Some((fingerprint, gateway.setup().secrets.clone()?))
    });
    let Some((fingerprint, secrets)) = wanted.flatten() else { return false };
    match store::load_vectors(&env, &fingerprint).await {
        Ok(sealed) => match sealed.and_then(|sealed| open(&secrets, &fingerprint, &sealed)) {
            Some(vectors) => {
                hot::with_gateway(|gateway| gateway.take_vectors(vectors));
                false
            }
            None => true,
        },
        Err(error) => {
            log::failed("vectors_not_read", &error);
            true
        }
    }
}

fn open(secrets: &Secrets, fingerprint: &str, sealed: &str) -> Option<Vectors> {
    let vectors: Vectors = crate::json::from_str(secrets.open(PURPOSE, fingerprint, sealed)?).ok()?;
    (vectors.fingerprint == fingerprint).then_some(vectors)
}

/// The first step of the call that asks for the vectors of all phrases.
#[wasm_bindgen]
pub fn begin_vectors(now: f64) -> String {
    hot::begin_vectors(now)
}

/// Keeps the vectors out of the model's answer, here and in KV.
#[wasm_bindgen]
pub async fn keep_vectors(env: Env, status: u16, answer: Vec<u8>) {
    let learnt = hot::with_gateway(|gateway| {
        let secrets = gateway.setup().secrets.clone()?;
        let vectors = gateway.learn(&answer)?;
        let json = crate::json::to_string(vectors);
        Some((vectors.fingerprint.clone(), secrets.seal(PURPOSE, &vectors.fingerprint, &json)))
    });
    let Some((fingerprint, sealed)) = learnt.flatten() else {
        let error = format!("the embedding model answered {status}");
        log::failed("vectors_not_made", &error);
        return;
    };
    if let Err(error) = store::put_vectors(&env, &fingerprint, &sealed).await {
        log::failed("vectors_not_kept", &error);
    }
}

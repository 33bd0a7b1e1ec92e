//! The copies of grants and of the configuration that KV holds near the callers.

use std::time::Duration;

use js_sys::futures::JsFuture;
use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast as _, JsValue};
use worker::{Delay, Env};

use super::store::within;
use crate::admin::StoreError;

/// The look-up of a key stands in the way of a call: KV answers in milliseconds or is passed over.
const LOOK_UP: Duration = Duration::from_millis(1_500);
/// A write that nobody but the operator waits for.
const WRITE: Duration = Duration::from_secs(5);
/// KV takes one write a second and key; a refused one is tried again.
const WRITE_TRIES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(1_100), Duration::from_millis(2_200)];

#[wasm_bindgen]
extern "C" {
    /// A [KV namespace](https://developers.cloudflare.com/kv/api/). `worker::KvStore` is not used: it brings serde's way
    /// through the bindings, for options of one number.
    type Namespace;

    #[wasm_bindgen(structural, method, catch)]
    fn get(this: &Namespace, name: &str) -> Result<Promise, JsValue>;
    #[wasm_bindgen(structural, method, catch)]
    fn put(this: &Namespace, name: &str, value: &str, options: &Object) -> Result<Promise, JsValue>;
    #[wasm_bindgen(structural, method, catch)]
    fn delete(this: &Namespace, name: &str) -> Result<Promise, JsValue>;
}

/// The value of this name, where there is one.
pub(super) async fn read_copy(env: &Env, binding: &str, name: &str) -> Result<Option<String>, StoreError> {
    let store = namespace(env, binding)?;
    let read = async { Ok(JsFuture::from(store.get(name)?).await?.as_string()) };
    within(LOOK_UP, "KV", read).await
}

/// Writes the value and when it may vanish (seconds since 1970), or removes what is there.
pub(super) async fn write_copy(
    env: &Env,
    binding: &str,
    name: &str,
    value: Option<(&str, Option<u64>)>,
) -> Result<(), StoreError> {
    let store = namespace(env, binding)?;
    let mut last = StoreError { message: "KV was not asked".to_owned() };
    for wait in WRITE_TRIES {
        if !wait.is_zero() {
            Delay::from(wait).await;
        }
        match within(WRITE, "KV", write_once(&store, name, value)).await {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn write_once(store: &Namespace, name: &str, value: Option<(&str, Option<u64>)>) -> worker::Result<()> {
    let written = match value {
        None => store.delete(name)?,
        Some((text, expiration)) => {
            let options = Object::new();
            if let Some(seconds) = expiration {
                #[allow(clippy::cast_precision_loss, reason = "seconds since 1970 are exact in a float")]
                Reflect::set(&options, &"expiration".into(), &JsValue::from_f64(seconds as f64))?;
            }
            store.put(name, text, &options)?
        }
    };
    JsFuture::from(written).await?;
    Ok(())
}

/// # Errors
/// Where there is no such binding.
fn namespace(env: &Env, binding: &str) -> Result<Namespace, StoreError> {
    let found = Reflect::get(env, &binding.into()).ok().filter(JsValue::is_object);
    let found =
        found.ok_or_else(|| StoreError { message: format!("there is no KV namespace bound as `{binding}`") })?;
    Ok(found.unchecked_into())
}

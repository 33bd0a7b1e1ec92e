//! The copies of grants and of the configuration that KV holds near the callers.

use std::time::Duration;

use worker::{Delay, Env, KvStore};

use super::store::within;
use crate::admin::StoreError;

/// The look-up of a key stands in the way of a call: KV answers in milliseconds or is passed over.
const LOOK_UP: Duration = Duration::from_millis(1_500);
/// A write that nobody but the operator waits for.
const WRITE: Duration = Duration::from_secs(5);
/// KV takes one write a second and key; a refused one is tried again.
const WRITE_TRIES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(1_100), Duration::from_millis(2_200)];

/// The value of this name, where there is one.
pub(super) async fn read_copy(env: &Env, binding: &str, name: &str) -> Result<Option<String>, StoreError> {
    let read = async { Ok(env.kv(binding)?.get(name).text().await?) };
    within(LOOK_UP, "KV", read).await
}

/// Writes the value and when it may vanish (seconds since 1970), or removes what is there.
pub(super) async fn write_copy(
    env: &Env,
    binding: &str,
    name: &str,
    value: Option<(&str, Option<u64>)>,
) -> Result<(), StoreError> {
    let store = env.kv(binding)?;
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

async fn write_once(store: &KvStore, name: &str, value: Option<(&str, Option<u64>)>) -> worker::Result<()> {
    let Some((text, expiration)) = value else { return Ok(store.delete(name).await?) };
    let put = store.put(name, text)?;
    let put = match expiration {
        Some(seconds) => put.expiration(seconds),
        None => put,
    };
    Ok(put.execute().await?)
}

impl From<worker::kv::KvError> for StoreError {
    fn from(error: worker::kv::KvError) -> StoreError {
        StoreError { message: error.to_string() }
    }
}

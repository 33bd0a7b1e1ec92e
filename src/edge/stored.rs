//! Stored responses in D1.

use std::time::Duration;

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use worker::{Delay, Env};

use super::store::{EdgeStore, number};
use super::{hot, log, now};
use crate::admin::StoreError;
use crate::gateway::{Input, StoredFound, StoredResponse, StoredWanted};
use crate::json::{self, readable};
use crate::units::UnixMillis;

/// Pauses after which a response that is not there is looked for again: another isolate may just be writing it.
const LATER: [Duration; 2] = [Duration::from_millis(120), Duration::from_millis(400)];

#[derive(Default)]
struct Row {
    id: String,
    key_id: String,
    at: UnixMillis,
    expires_at: UnixMillis,
    previous: Option<String>,
    fits: u8,
    input: Option<String>,
    response: Option<String>,
}
readable! { Row {
    #[required] id, #[required] key_id, #[required] at, #[required] expires_at, previous, #[required] fits, input,
    response,
} }

/// Looks up what the last step of a call asks for, and takes the call on from there.
#[wasm_bindgen]
pub async fn find_responses(env: Env, call: u32) -> String {
    let found = match hot::take_wanted(call) {
        Some(wanted) => look(&env, &wanted).await.map_err(|error| error.to_string()),
        None => Ok(StoredFound::default()),
    };
    hot::resume(call, Input::Responses(found), now())
}

async fn look(env: &Env, wanted: &StoredWanted) -> Result<StoredFound, StoreError> {
    let mut pauses = LATER.into_iter();
    loop {
        let found = if wanted.delete { delete(env, wanted).await? } else { find(env, wanted).await? };
        match pauses.next().filter(|_| found.lacks(wanted)) {
            Some(pause) => Delay::from(pause).await,
            None => return Ok(found),
        }
    }
}

async fn find(env: &Env, wanted: &StoredWanted) -> Result<StoredFound, StoreError> {
    // Only ids and sizes go through the recursion; contents are read for those that fit.
    let statement = "WITH RECURSIVE chain (id, previous, depth, total) AS ( \
           SELECT id, previous, 0, bytes FROM responses \
           WHERE id = ?1 AND (key_id = ?2 OR team_id = ?3) AND expires_at > ?4 \
           UNION ALL \
           SELECT responses.id, responses.previous, depth + 1, total + bytes \
           FROM chain JOIN responses ON responses.id = chain.previous \
           WHERE (key_id = ?2 OR team_id = ?3) AND expires_at > ?4 AND depth < ?5 AND total <= ?6 \
         ) \
         SELECT chain.id, key_id, at, expires_at, chain.previous, total <= ?6 AS fits, \
           CASE WHEN total <= ?6 THEN input END AS input, CASE WHEN total <= ?6 THEN response END AS response \
         FROM chain JOIN responses ON responses.id = chain.id ORDER BY depth";
    let before = u32::try_from(wanted.before).unwrap_or(u32::MAX);
    let bytes = u32::try_from(wanted.bytes).unwrap_or(u32::MAX);
    let [id, key, team] = owner(wanted);
    let values = [id, key, team, number(now().0), before.into(), bytes.into()];
    let turns = if wanted.id.is_empty() { Vec::new() } else { read(env, statement, &values).await? };
    let holders = find_holders(env, wanted, bytes).await?;
    let too_large = turns.iter().chain(&holders).any(|row| row.fits == 0);
    let [turns, holders] = [turns, holders].map(|rows| rows.into_iter().map(Row::read).collect());
    Ok(StoredFound { turns, holders, too_large })
}

/// The responses with items that are wanted, the newest first.
async fn find_holders(env: &Env, wanted: &StoredWanted, bytes: u32) -> Result<Vec<Row>, StoreError> {
    if wanted.items.is_empty() {
        return Ok(Vec::new());
    }
    // Not every provider gives its items names of their own: the newest of a name counts.
    let statement = "WITH newest AS ( \
           SELECT item, response_items.response, max(at) FROM response_items JOIN responses ON id = response_items.response \
           WHERE item IN (SELECT value FROM json_each(?1)) AND (key_id = ?2 OR team_id = ?3) AND expires_at > ?4 \
           GROUP BY item \
         ), sized AS ( \
           SELECT id, sum(length(CAST(response AS BLOB))) OVER (ORDER BY at DESC, id) AS total FROM responses \
           WHERE id IN (SELECT response FROM newest) \
         ) \
         SELECT sized.id, key_id, at, expires_at, NULL AS previous, total <= ?5 AS fits, NULL AS input, \
           CASE WHEN total <= ?5 THEN response END AS response \
         FROM sized JOIN responses ON responses.id = sized.id ORDER BY at DESC, sized.id";
    let [_, key, team] = owner(wanted);
    let items = json::to_string(&wanted.items);
    read(env, statement, &[items.as_str().into(), key, team, number(now().0), bytes.into()]).await
}

async fn read(env: &Env, statement: &str, values: &[JsValue]) -> Result<Vec<Row>, StoreError> {
    EdgeStore { env }.rows(statement, values).await
}

/// What it held is gone with the row.
async fn delete(env: &Env, wanted: &StoredWanted) -> Result<StoredFound, StoreError> {
    let statement = "DELETE FROM responses WHERE id = ?1 AND (key_id = ?2 OR team_id = ?3) AND expires_at > ?4";
    let [id, key, team] = owner(wanted);
    let deleted = EdgeStore { env }.run(statement, &[id, key, team, number(now().0)]).await? > 0;
    let row = || Row {
        id: wanted.id.clone(),
        key_id: wanted.key_id.clone(),
        at: UnixMillis(0),
        expires_at: UnixMillis(0),
        previous: None,
        fits: 1,
        input: None,
        response: None,
    };
    let turns = deleted.then(|| row().read()).into_iter().collect();
    Ok(StoredFound { turns, ..StoredFound::default() })
}

fn owner(wanted: &StoredWanted) -> [JsValue; 3] {
    let team = wanted.team_id.as_deref().map_or(JsValue::NULL, JsValue::from);
    [wanted.id.as_str().into(), wanted.key_id.as_str().into(), team]
}

impl Row {
    fn read(self) -> StoredResponse {
        StoredResponse {
            id: self.id,
            key_id: self.key_id,
            team_id: None,
            at: self.at,
            expires_at: self.expires_at,
            previous: self.previous,
            input: self.input.unwrap_or_default(),
            response: self.response.unwrap_or_default(),
        }
    }
}

/// Writes the responses that wait for it. They are no money: what cannot be written is tried again with the next, and
/// then given up, and said.
#[wasm_bindgen]
pub async fn keep_responses(env: Env) {
    let responses = hot::with_gateway(|gateway| gateway.unwritten.begin(now())).unwrap_or_default();
    if responses.is_empty() {
        return;
    }
    let written = insert(&env, responses.iter().map(AsRef::as_ref)).await;
    if let Err(error) = &written {
        say("responses_not_written", error);
    }
    let deleted = hot::with_gateway(|gateway| gateway.unwritten.end(&responses, written.is_ok())).unwrap_or_default();
    for response in deleted {
        let wanted = StoredWanted {
            id: response.id.clone(),
            key_id: response.key_id.clone(),
            delete: true,
            ..StoredWanted::default()
        };
        if let Err(error) = delete(&env, &wanted).await {
            say("response_not_deleted", &error);
        }
    }
}

async fn insert(env: &Env, responses: impl Iterator<Item = &StoredResponse>) -> Result<(), StoreError> {
    let store = EdgeStore { env };
    let database = store.database()?;
    let mut statements = Vec::new();
    for response in responses {
        let statement = "INSERT INTO responses (id, key_id, team_id, at, expires_at, previous, bytes, input, response) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING";
        let optional = |text: &Option<String>| text.as_deref().map_or(JsValue::NULL, JsValue::from);
        let bytes = u32::try_from(response.input.len() + response.response.len()).unwrap_or(u32::MAX);
        let values = [
            response.id.as_str().into(),
            response.key_id.as_str().into(),
            optional(&response.team_id),
            number(response.at.0),
            number(response.expires_at.0),
            optional(&response.previous),
            bytes.into(),
            response.input.as_str().into(),
            response.response.as_str().into(),
        ];
        statements.push(database.prepare(statement).bind(&values)?);
    }
    store.batch(statements).await.map(|_| ())
}

fn say(event: &str, error: &StoreError) {
    log::failed(event, &error);
}

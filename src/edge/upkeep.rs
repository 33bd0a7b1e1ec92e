//! The schedule on the platform: its statements, and requests to webhooks.

use std::time::Duration;
use wasm_bindgen::JsValue;
use worker::{Env, Fetch};

use super::log;
use super::outgoing::request;
use super::store::{EdgeStore, number, within};
use crate::admin::{Courier, Delivery, Old, StoreError, Upkeep};
use crate::json::readable;
use crate::keys::Secrets;
use crate::units::UnixMillis;

/// How long a webhook may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Rows that one statement deletes: a statement has seconds.
const MOST_FORGOTTEN: u32 = 10_000;
/// Such statements for one table in one run, which comes every hour: as many rows as come in at fifty calls a second.
const MOST_STATEMENTS: u32 = 20;
/// A day, in milliseconds.
const DAY: i64 = 86_400_000;
/// An hour with fewer calls is no anomaly, whatever was usual.
const FEWEST_CALLS: u32 = 100;
/// So many times the busiest hour of the week before is an anomaly.
const BUSIER: u32 = 3;

/// Delivers what is due, after a change that may have made events.
pub(super) async fn deliver_now(env: Env, secrets: Secrets, now: UnixMillis) {
    if let Err(error) = crate::admin::deliver(&EdgeStore { env: &env }, &Post, &secrets, now).await {
        log::failed("not_delivered", &error);
    }
}

/// By HTTP; a redirect could lead where the rules for webhooks do not let them, and is not followed.
pub(super) struct Post;

impl Courier for Post {
    async fn post(&self, url: &str, headers: &[(&'static str, String)], body: &str) -> Result<u16, String> {
        let request = request(url, headers, Some(body.into())).map_err(|error| error.to_string())?;
        let answer = within(PATIENCE, "the webhook", Fetch::Request(request).send()).await;
        answer.map(|answer| answer.status_code()).map_err(|error| error.to_string())
    }
}

#[derive(Default)]
struct Anomaly {
    id: String,
    subject: String,
}
readable! { Anomaly { #[required] id, #[required] subject } }

impl Upkeep for EdgeStore<'_> {
    async fn due_deliveries(&self, now: UnixMillis, most: u32) -> Result<Vec<Delivery>, StoreError> {
        let statement = "SELECT event_id, webhook_id, record->>'url' AS url, attempts, at, type, subject, data \
             FROM deliveries JOIN events ON events.id = event_id JOIN webhooks ON webhooks.id = webhook_id \
             WHERE due_at <= ?1 AND deleted_at IS NULL AND NOT record->>'disabled' ORDER BY due_at LIMIT ?2";
        self.rows(statement, &[number(now.0), most.into()]).await
    }

    async fn claim_delivery(&self, due: &Delivery, next: Option<UnixMillis>) -> Result<bool, StoreError> {
        let statement = "UPDATE deliveries SET attempts = attempts + 1, due_at = ?1 \
             WHERE event_id = ?2 AND webhook_id = ?3 AND attempts = ?4 AND due_at IS NOT NULL";
        let next = next.map_or(JsValue::NULL, |next| number(next.0));
        let values = [next, due.event_id.as_str().into(), due.webhook_id.as_str().into(), due.attempts.into()];
        Ok(self.run(statement, &values).await? == 1)
    }

    async fn delivery_answered(&self, due: &Delivery, delivered: bool, answer: &str) -> Result<(), StoreError> {
        let statement = "UPDATE deliveries SET answer = ?1, due_at = CASE WHEN ?2 THEN NULL ELSE due_at END \
             WHERE event_id = ?3 AND webhook_id = ?4";
        let answer: String = answer.chars().take(200).collect();
        let values = [answer.into(), delivered.into(), due.event_id.as_str().into(), due.webhook_id.as_str().into()];
        self.run(statement, &values).await.map(|_| ())
    }

    async fn note_busy_keys(&self, now: UnixMillis) -> Result<(), StoreError> {
        let statement = "WITH hours AS ( \
               SELECT keys.id AS key_id, usage.at AS at, sum(calls) AS calls \
               FROM keys CROSS JOIN usage ON usage.key_id = keys.id AND usage.at BETWEEN ?1 - 604800000 AND ?1 \
               WHERE json_extract(keys.record, '$.on_anomaly') IN ('notify', 'suspend') AND keys.deleted_at IS NULL \
               GROUP BY 1, 2 \
             ), rates AS ( \
               SELECT key_id, min(at) AS since, sum(CASE WHEN at = ?1 THEN calls ELSE 0 END) AS lately, \
               max(CASE WHEN at < ?1 THEN calls ELSE 0 END) AS usual FROM hours GROUP BY 1 \
             ) \
             INSERT INTO events (id, at, type, subject, data) \
             SELECT 'event_' || key_id || '_rate_' || CAST(?1 AS INTEGER), ?2, 'key.anomaly', key_id, \
               json_object('what', 'rate', 'value', lately, 'usual', usual) \
             FROM rates WHERE since < ?1 - 86400000 AND lately >= ?3 AND lately > ?4 * usual ON CONFLICT DO NOTHING";
        // On the hour it is the one that has just ended: its last minutes are seen then or never.
        let hour = number((now.0 - 60_000).div_euclid(3_600_000) * 3_600_000);
        self.run(statement, &[hour, number(now.0), FEWEST_CALLS.into(), BUSIER.into()]).await.map(|_| ())
    }

    async fn open_anomalies(&self, most: u32) -> Result<Vec<(String, String)>, StoreError> {
        let statement =
            "SELECT id, subject FROM events WHERE type = 'key.anomaly' AND handled = 0 ORDER BY id LIMIT ?1";
        let rows: Vec<Anomaly> = self.rows(statement, &[most.into()]).await?;
        Ok(rows.into_iter().map(|row| (row.id, row.subject)).collect())
    }

    async fn anomaly_handled(&self, event: &str) -> Result<(), StoreError> {
        self.run("UPDATE events SET handled = 1 WHERE id = ?1", &[event.into()]).await.map(|_| ())
    }

    async fn forget(&self, old: &Old) -> Result<(), StoreError> {
        let groups = "key_id, team_id, user, tags, provider, model";
        let sums = super::usage::SUMS;
        let added = sums.map(|sum| format!("sum({sum})")).join(", ");
        let merged = sums.map(|sum| format!("{sum} = {sum} + excluded.{sum}")).join(", ");
        let database = self.database()?;
        let hours = [number(old.hours.0)];
        let days = format!(
            "INSERT INTO usage SELECT at / {DAY} * {DAY} AS day, {groups}, {DAY}, {added} FROM usage \
             WHERE span < {DAY} AND at < ?1 GROUP BY day, {groups} ON CONFLICT DO UPDATE SET {merged}"
        );
        // In one transaction: nothing is in both, nor in neither.
        let compacted = vec![
            database.prepare(days).bind(&hours)?,
            database.prepare(format!("DELETE FROM usage WHERE span < {DAY} AND at < ?1")).bind(&hours)?,
        ];
        let mut done = self.batch(compacted).await.map(|_| ());
        let old_calls = "DELETE FROM calls WHERE (request_id, seq) IN \
             (SELECT request_id, seq FROM calls WHERE at < ?1 ORDER BY at LIMIT ?2)";
        let old_feedback = "DELETE FROM feedback WHERE (request_id, name) IN \
             (SELECT request_id, name FROM feedback WHERE at < ?1 LIMIT ?2)";
        let old_deliveries = "DELETE FROM deliveries WHERE (event_id, webhook_id) IN \
             (SELECT event_id, webhook_id FROM events JOIN deliveries ON event_id = events.id WHERE events.at < ?1 LIMIT ?2)";
        let old_contents = "DELETE FROM contents WHERE request_id IN \
             (SELECT request_id FROM contents WHERE at < ?1 ORDER BY at LIMIT ?2)";
        let old_responses = "DELETE FROM responses WHERE id IN (SELECT id FROM responses WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";
        // Nobody is left who may read them.
        let orphans = "DELETE FROM responses WHERE id IN (SELECT id FROM responses WHERE team_id IS NULL \
             AND key_id IN (SELECT id FROM keys WHERE deleted_at IS NOT NULL) LIMIT ?2)";
        // A key that is watched again is got to know anew.
        let unwatched = "DELETE FROM key_habits WHERE (key_id, what, value) IN \
             (SELECT key_id, what, value FROM key_habits WHERE key_id NOT IN (SELECT id FROM keys \
             WHERE json_extract(record, '$.on_anomaly') IN ('notify', 'suspend') AND deleted_at IS NULL) LIMIT ?2)";
        let old_events = "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < ?1 \
             AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event_id = events.id) ORDER BY at LIMIT ?2)";
        // Of these no more than a day's are old at once.
        let old_days = "DELETE FROM usage WHERE at < ?1 AND ?2";
        let old_audit = "DELETE FROM audit WHERE at < ?1 AND ?2";
        for (part, before) in [
            (old_calls, old.calls),
            (old_feedback, old.calls),
            (old_deliveries, old.events),
            (old_contents, old.events),
            (old_responses, old.now),
            (orphans, old.now),
            (unwatched, old.now),
            (old_events, old.events),
            (old_days, old.days),
            (old_audit, old.days),
        ] {
            // A table that takes too long keeps none of the others from their turn.
            done = done.and(self.delete_all(part, before).await);
        }
        done
    }
}

impl EdgeStore<'_> {
    /// Deletes what is older than `before` by a statement that deletes a part of it, given that moment and how many rows.
    async fn delete_all(&self, part: &str, before: UnixMillis) -> Result<(), StoreError> {
        for _ in 0..MOST_STATEMENTS {
            let deleted = self.run(part, &[number(before.0), MOST_FORGOTTEN.into()]).await?;
            if deleted < MOST_FORGOTTEN.into() {
                break;
            }
        }
        Ok(())
    }
}

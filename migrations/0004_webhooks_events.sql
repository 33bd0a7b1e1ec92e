-- Where events are told to (src/admin/webhooks.rs).
CREATE TABLE webhooks (
  id TEXT PRIMARY KEY NOT NULL, -- sorts by the moment of creation
  record TEXT NOT NULL,
  change TEXT NOT NULL,
  created_at INTEGER NOT NULL, -- milliseconds since 1970
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
) WITHOUT ROWID;

-- What happened. An id says what it is about, so that what is told twice is one event.
CREATE TABLE events (
  id TEXT PRIMARY KEY NOT NULL,
  at INTEGER NOT NULL,
  type TEXT NOT NULL, -- such as key.revoke, budget.threshold, key.anomaly
  subject TEXT NOT NULL, -- the id of a key, team, budget, …
  data TEXT NOT NULL, -- JSON
  handled INTEGER NOT NULL DEFAULT 0 -- of anomalies: whether what the key says was done
) WITHOUT ROWID;
CREATE INDEX events_by_time ON events (at);
CREATE INDEX anomalies_open ON events (id) WHERE type = 'key.anomaly' AND handled = 0;

CREATE TABLE deliveries (
  event_id TEXT NOT NULL,
  webhook_id TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER, -- NULL once it was delivered or given up
  answer TEXT, -- what the last attempt got
  PRIMARY KEY (event_id, webhook_id)
) WITHOUT ROWID;
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE due_at IS NOT NULL;

-- An event is due at every webhook that asks for its type.
CREATE TRIGGER events_are_delivered AFTER INSERT ON events BEGIN
  INSERT INTO deliveries (event_id, webhook_id, due_at)
  SELECT NEW.id, webhooks.id, NEW.at FROM webhooks
  WHERE deleted_at IS NULL AND NOT record->>'disabled'
    AND EXISTS (SELECT 1 FROM json_each(record, '$.events') WHERE NEW.type GLOB value);
END;

-- Every administrative change is an event of its own type.
CREATE TRIGGER changes_are_events AFTER INSERT ON audit WHEN NEW.action NOT GLOB 'webhook.*' BEGIN
  INSERT INTO events (id, at, type, subject, data)
  VALUES (
    'event_' || NEW.id, NEW.at, NEW.action, NEW.subject,
    json_object('actor', NEW.actor, 'address', NEW.address, 'before', json(NEW.before), 'after', json(NEW.after))
  )
  ON CONFLICT DO NOTHING;
END;

-- What watched keys were used with: countries, networks, models.
CREATE TABLE key_habits (
  key_id TEXT NOT NULL,
  what TEXT NOT NULL, -- country, network or model
  value TEXT NOT NULL,
  first_at INTEGER NOT NULL,
  PRIMARY KEY (key_id, what, value)
) WITHOUT ROWID;

-- Only the records of watched keys name a country (src/gateway/call.rs).
CREATE TRIGGER calls_make_habits AFTER INSERT ON calls WHEN NEW.record->>'country' IS NOT NULL BEGIN
  INSERT INTO key_habits VALUES (NEW.key_id, 'country', NEW.record->>'country', NEW.at) ON CONFLICT DO NOTHING;
  INSERT INTO key_habits SELECT NEW.key_id, 'network', NEW.record->>'network', NEW.at
    WHERE NEW.record->>'network' IS NOT NULL ON CONFLICT DO NOTHING;
  INSERT INTO key_habits VALUES (NEW.key_id, 'model', NEW.provider || '/' || NEW.model, NEW.at) ON CONFLICT DO NOTHING;
END;

-- What the schedule asks about them.
CREATE INDEX keys_watched ON keys (id)
  WHERE json_extract(record, '$.on_anomaly') IN ('notify', 'suspend') AND deleted_at IS NULL;
CREATE INDEX usage_by_key ON usage (key_id, at);

-- What is new after a day of getting to know a key is an anomaly.
CREATE TRIGGER new_habits_are_anomalies AFTER INSERT ON key_habits
WHEN EXISTS (SELECT 1 FROM key_habits WHERE key_id = NEW.key_id AND first_at < NEW.first_at - 86400000) BEGIN
  INSERT INTO events (id, at, type, subject, data)
  VALUES (
    'event_' || NEW.key_id || '_' || NEW.what || '_' || lower(hex(NEW.value)), NEW.first_at, 'key.anomaly', NEW.key_id,
    json_object('what', NEW.what, 'value', NEW.value)
  )
  ON CONFLICT DO NOTHING;
END;

-- Gateway keys. The record is JSON (src/keys/record.rs); what is asked for by SQL has a column of its own.
CREATE TABLE keys (
  id TEXT PRIMARY KEY NOT NULL, -- sorts by the moment of creation
  record TEXT NOT NULL,
  change TEXT NOT NULL, -- the last change: the id of its audit entry
  published_change TEXT, -- the last change that has reached the edge
  deleted_at INTEGER -- milliseconds since 1970
) WITHOUT ROWID;
-- Almost always empty: only the keys whose edge copies are behind.
CREATE INDEX keys_unpublished ON keys (id) WHERE published_change IS NOT change;

-- The texts of keys, as SHA-256 in hexadecimal. A rotated key has several for a while.
CREATE TABLE key_hashes (
  hash TEXT PRIMARY KEY NOT NULL,
  key_id TEXT NOT NULL REFERENCES keys (id),
  expires_at INTEGER -- milliseconds since 1970; NULL for the current text
) WITHOUT ROWID;
CREATE INDEX key_hashes_by_key ON key_hashes (key_id);

-- Configuration documents, each as it was written. The highest version is in force.
CREATE TABLE config_versions (
  version INTEGER PRIMARY KEY NOT NULL,
  document TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  change TEXT NOT NULL UNIQUE, -- the id of its audit entry
  restores INTEGER, -- the version it brought back
  published INTEGER NOT NULL DEFAULT 0 -- whether it has reached the edge
);

-- Who changed what, and when. Never secrets.
CREATE TABLE audit (
  id TEXT PRIMARY KEY NOT NULL, -- sorts by time
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  address TEXT,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  before TEXT,
  after TEXT
) WITHOUT ROWID;
CREATE INDEX audit_by_subject ON audit (subject, id);

-- One row an attempt at a call and one a correction, appended only. Ids and figures, never content.
CREATE TABLE calls (
  request_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  status INTEGER NOT NULL,
  stream INTEGER NOT NULL,
  lane TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  input_fresh INTEGER NOT NULL,
  input_cache_read INTEGER NOT NULL,
  input_cache_write INTEGER NOT NULL,
  input_cache_write_1h INTEGER NOT NULL,
  input_audio INTEGER NOT NULL,
  input_image INTEGER NOT NULL,
  output_text INTEGER NOT NULL,
  output_reasoning INTEGER NOT NULL,
  output_audio INTEGER NOT NULL,
  output_image INTEGER NOT NULL,
  cost_nano INTEGER, -- billionths of a US dollar; NULL where the price is unknown
  upstream_cost_nano INTEGER,
  state TEXT NOT NULL,
  first_token_ms INTEGER,
  total_ms INTEGER NOT NULL,
  error TEXT,
  cause TEXT,
  client_request_id TEXT,
  adjusted TEXT,
  PRIMARY KEY (request_id, seq)
) WITHOUT ROWID;
CREATE INDEX calls_by_time ON calls (at);
CREATE INDEX calls_by_key ON calls (key_id, at);

-- One row an attempt at a call and one a correction, appended only. What is found by index has a column of its own; the
-- rest is read out of the record (src/observe/record.rs) when it is asked for: writing a row costs a third of what
-- thirty columns cost, and what a record does not name takes no room.
CREATE TABLE call_records (
  request_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL, -- milliseconds since 1970
  key_id TEXT NOT NULL,
  record TEXT NOT NULL, -- JSON: ids and figures, never content
  team_id TEXT AS (record->>'team_id'),
  user TEXT AS (record->>'user'),
  session TEXT AS (record->>'session'),
  tags TEXT AS (record->>'tags'),
  endpoint TEXT AS (coalesce(record->>'endpoint', '')),
  provider TEXT AS (coalesce(record->>'provider', '')),
  model TEXT AS (coalesce(record->>'model', '')),
  status INTEGER AS (record->>'status'),
  stream INTEGER AS (coalesce(record->>'stream', 0)),
  lane TEXT AS (coalesce(record->>'lane', '')),
  attempts INTEGER AS (coalesce(record->>'attempts', 0)),
  input_fresh INTEGER AS (coalesce(record->>'input_fresh', 0)),
  input_cache_read INTEGER AS (coalesce(record->>'input_cache_read', 0)),
  input_cache_write INTEGER AS (coalesce(record->>'input_cache_write', 0)),
  input_cache_write_1h INTEGER AS (coalesce(record->>'input_cache_write_1h', 0)),
  input_audio INTEGER AS (coalesce(record->>'input_audio', 0)),
  input_image INTEGER AS (coalesce(record->>'input_image', 0)),
  output_text INTEGER AS (coalesce(record->>'output_text', 0)),
  output_reasoning INTEGER AS (coalesce(record->>'output_reasoning', 0)),
  output_audio INTEGER AS (coalesce(record->>'output_audio', 0)),
  output_image INTEGER AS (coalesce(record->>'output_image', 0)),
  cost_nano INTEGER AS (record->>'cost_nano'), -- billionths of a US dollar; NULL where the price is unknown
  upstream_cost_nano INTEGER AS (record->>'upstream_cost_nano'),
  prices TEXT AS (record->>'prices'),
  state TEXT AS (coalesce(record->>'state', '')),
  corrects INTEGER AS (record->>'corrects'),
  first_token_ms INTEGER AS (record->>'first_token_ms'),
  total_ms INTEGER AS (coalesce(record->>'total_ms', 0)),
  error TEXT AS (record->>'error'),
  cause TEXT AS (record->>'cause'),
  client_request_id TEXT AS (record->>'client_request_id'),
  adjusted TEXT AS (record->>'adjusted'),
  tried TEXT AS (record->>'tried'),
  PRIMARY KEY (request_id, seq)
) WITHOUT ROWID;

-- Sums of all calls, by the hour and everything they can be told apart by; by the day once they are old. Kept by the
-- trigger below: a row that is there already is not inserted again, and so not counted again.
CREATE TABLE usage (
  at INTEGER NOT NULL, -- the first millisecond of the hour, or of the day
  key_id TEXT NOT NULL,
  team_id TEXT NOT NULL, -- empty where there is none, as in the next two
  user TEXT NOT NULL,
  tags TEXT NOT NULL, -- as they were written: a, b
  provider TEXT NOT NULL,
  model TEXT NOT NULL,
  span INTEGER NOT NULL, -- milliseconds: an hour, or a day
  calls INTEGER NOT NULL,
  failed_calls INTEGER NOT NULL,
  estimated_calls INTEGER NOT NULL,
  unpriced_calls INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL, -- cached ones included
  cached_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL, -- reasoning included
  reasoning_tokens INTEGER NOT NULL,
  cost_nano INTEGER NOT NULL,
  upstream_cost_nano INTEGER NOT NULL,
  PRIMARY KEY (at, key_id, team_id, user, tags, provider, model, span)
) WITHOUT ROWID;

CREATE TRIGGER usage_of_calls AFTER INSERT ON call_records BEGIN
  INSERT INTO usage VALUES (
    NEW.at / 3600000 * 3600000, NEW.key_id, coalesce(NEW.team_id, ''), coalesce(NEW.user, ''), coalesce(NEW.tags, ''),
    NEW.provider, NEW.model, 3600000,
    NEW.seq = 0, NEW.seq = 0 AND NEW.status >= 400, NEW.state IN ('settled_estimate', 'committed_ceiling'),
    NEW.state <> 'released' AND NEW.cost_nano IS NULL,
    NEW.input_fresh + NEW.input_cache_read + NEW.input_cache_write + NEW.input_cache_write_1h + NEW.input_audio
      + NEW.input_image,
    NEW.input_cache_read,
    NEW.output_text + NEW.output_reasoning + NEW.output_audio + NEW.output_image,
    NEW.output_reasoning,
    coalesce(NEW.cost_nano, 0), coalesce(NEW.upstream_cost_nano, 0)
  )
  ON CONFLICT DO UPDATE SET
    calls = calls + excluded.calls,
    failed_calls = failed_calls + excluded.failed_calls,
    estimated_calls = estimated_calls + excluded.estimated_calls,
    unpriced_calls = unpriced_calls + excluded.unpriced_calls,
    input_tokens = input_tokens + excluded.input_tokens,
    cached_tokens = cached_tokens + excluded.cached_tokens,
    output_tokens = output_tokens + excluded.output_tokens,
    reasoning_tokens = reasoning_tokens + excluded.reasoning_tokens,
    cost_nano = cost_nano + excluded.cost_nano,
    upstream_cost_nano = upstream_cost_nano + excluded.upstream_cost_nano;
END;

-- What there was so far, summed by the trigger on its way. A merge leaves out what is NULL. A function takes 32 arguments.
INSERT INTO call_records (request_id, seq, at, key_id, record)
SELECT request_id, seq, at, key_id, json_patch(json_patch(json_patch('{}', json_object(
  'request_id', request_id, 'seq', seq, 'at', at, 'key_id', key_id, 'endpoint', endpoint, 'provider', provider,
  'model', model, 'status', status, 'stream', stream, 'lane', lane, 'attempts', attempts, 'input_fresh', input_fresh
)), json_object(
  'input_cache_read', input_cache_read, 'input_cache_write', input_cache_write,
  'input_cache_write_1h', input_cache_write_1h, 'input_audio', input_audio, 'input_image', input_image,
  'output_text', output_text, 'output_reasoning', output_reasoning, 'output_audio', output_audio,
  'output_image', output_image, 'cost_nano', cost_nano, 'upstream_cost_nano', upstream_cost_nano, 'state', state
)), json_object(
  'first_token_ms', first_token_ms, 'total_ms', total_ms, 'error', error, 'cause', cause,
  'client_request_id', client_request_id, 'adjusted', adjusted, 'tried', tried, 'user', user, 'session', session,
  'tags', tags
)) FROM calls;
DROP TABLE calls;
ALTER TABLE call_records RENAME TO calls;
CREATE INDEX calls_by_time ON calls (at);
CREATE INDEX calls_by_key ON calls (key_id, at);

-- The audit log is appended to: what stands in it is never changed, and nothing goes before two years have passed.
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN
  SELECT raise(ABORT, 'the audit log is append-only');
END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit WHEN OLD.at > (unixepoch() - 730 * 86400) * 1000 BEGIN
  SELECT raise(ABORT, 'the audit log is append-only');
END;

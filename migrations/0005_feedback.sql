-- What callers think of answers: POST /v1/feedback.
CREATE TABLE feedback (
  request_id TEXT NOT NULL,
  name TEXT NOT NULL, -- what is scored
  at INTEGER NOT NULL, -- milliseconds since 1970
  score REAL NOT NULL, -- from 0 to 1
  PRIMARY KEY (request_id, name)
) WITHOUT ROWID;

-- Calls that took part in an experiment: `experiment:variant`.
CREATE INDEX calls_by_variant ON calls (record->>'variant', at) WHERE record->>'variant' IS NOT NULL;

-- Answers of Responses that are kept for `previous_response_id`, where the key has `store_responses`.
CREATE TABLE responses (
  id TEXT PRIMARY KEY NOT NULL,
  key_id TEXT NOT NULL, -- the key that made the call
  team_id TEXT, -- the team whose other keys may read it
  at INTEGER NOT NULL, -- milliseconds since 1970
  expires_at INTEGER NOT NULL,
  previous TEXT, -- the response that it went on from
  bytes INTEGER NOT NULL, -- of the two below
  input TEXT NOT NULL, -- its own items, a JSON array
  response TEXT NOT NULL -- the response object as the caller got it
);
CREATE INDEX responses_by_end ON responses (expires_at);
CREATE INDEX responses_by_key ON responses (key_id);

-- Answers that are kept to be compared with those of shadow traffic, where the key lets contents be kept.
CREATE TABLE contents (
  request_id TEXT PRIMARY KEY NOT NULL,
  at INTEGER NOT NULL, -- milliseconds since 1970
  content TEXT NOT NULL -- the body of the answer as its caller got it, or its beginning
) WITHOUT ROWID;
CREATE INDEX contents_by_time ON contents (at);

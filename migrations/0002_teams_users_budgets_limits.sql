-- Teams, end users, budgets and rate limits. Records are JSON (src/admin/teams.rs and its neighbours), as those of keys.
CREATE TABLE teams (
  id TEXT PRIMARY KEY NOT NULL, -- sorts by the moment of creation
  record TEXT NOT NULL,
  change TEXT NOT NULL, -- the last change: the id of its audit entry
  created_at INTEGER NOT NULL, -- milliseconds since 1970
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
) WITHOUT ROWID;

CREATE TABLE users (
  id TEXT PRIMARY KEY NOT NULL, -- what callers send as `user`
  record TEXT NOT NULL,
  change TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
) WITHOUT ROWID;

CREATE TABLE budgets (
  id TEXT PRIMARY KEY NOT NULL, -- sorts by the moment of creation
  record TEXT NOT NULL,
  change TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
) WITHOUT ROWID;

CREATE TABLE limits (
  id TEXT PRIMARY KEY NOT NULL, -- sorts by the moment of creation
  record TEXT NOT NULL,
  change TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  deleted_at INTEGER
) WITHOUT ROWID;

-- The keys of a team: a change of the team has to reach the copies of all of them.
CREATE INDEX keys_by_team ON keys (json_extract(record, '$.team_id')) WHERE deleted_at IS NULL;

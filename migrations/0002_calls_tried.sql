-- What was tried for a call, where that was more than one upstream request: a JSON array (src/gateway/tried.rs).
ALTER TABLE calls ADD COLUMN tried TEXT;
-- What the caller says a call is for: x-latchkey-user, -session, -tags.
ALTER TABLE calls ADD COLUMN user TEXT;
ALTER TABLE calls ADD COLUMN session TEXT;
ALTER TABLE calls ADD COLUMN tags TEXT;

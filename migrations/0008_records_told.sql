-- Which change of a team, budget or limit the ledger has been told of: what it has not is told again by the schedule.
ALTER TABLE teams ADD COLUMN told_change TEXT;
ALTER TABLE budgets ADD COLUMN told_change TEXT;
ALTER TABLE limits ADD COLUMN told_change TEXT;
CREATE INDEX teams_untold ON teams (id) WHERE told_change IS NOT change;
CREATE INDEX budgets_untold ON budgets (id) WHERE told_change IS NOT change;
CREATE INDEX limits_untold ON limits (id) WHERE told_change IS NOT change;

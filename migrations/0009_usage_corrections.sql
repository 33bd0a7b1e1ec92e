-- A call that was booked at its ceiling is an estimate until the row that takes this back; that row is none.
DROP TRIGGER usage_of_calls;
CREATE TRIGGER usage_of_calls AFTER INSERT ON calls BEGIN
  INSERT INTO usage VALUES (
    NEW.at / 3600000 * 3600000, NEW.key_id, coalesce(NEW.team_id, ''), coalesce(NEW.user, ''), coalesce(NEW.tags, ''),
    NEW.provider, NEW.model, 3600000,
    NEW.seq = 0, NEW.seq = 0 AND NEW.status >= 400,
    iif(NEW.state NOT IN ('settled_estimate', 'committed_ceiling'), 0, iif(NEW.cost_nano < 0, -1, 1)),
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

-- What was counted twice so far: rows that the ledger itself wrote have no provider.
UPDATE usage SET estimated_calls = estimated_calls - 2 * (
  SELECT count(*) FROM calls
  WHERE calls.key_id = usage.key_id AND calls.at BETWEEN usage.at AND usage.at + span - 1
    AND calls.state = 'committed_ceiling' AND calls.cost_nano < 0
)
WHERE provider = '' AND model = '' AND team_id = '' AND user = '' AND tags = '';

use serde::Serialize;

use crate::budget::ledger::Committed;
use crate::chat::Usage;
use crate::sorted;
use crate::units::{Millis, NanoUsd, UnixMillis};

/// What one call did and cost. No prompt, no answer, no key: ids and figures only.
///
/// A call has one, number 0, of the attempt that ended it, and a further one for each attempt that is billed besides: one
/// whose answer was not good enough, that another went on for, that a second target outpaced, or that nobody waited for.
///
/// Serialized, this is a line of the log and a row of the `calls` table; what is zero, or not there, is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Record {
    /// Ours.
    pub request_id: String,
    /// Row number within the request; corrections come as further rows, too.
    pub seq: u32,
    /// When the call came.
    pub at: UnixMillis,
    /// Whose key; empty where the call never got that far.
    pub key_id: String,
    /// The team of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team_id: Option<String>,
    /// Such as `chat/completions`.
    pub endpoint: &'static str,
    /// Who answered, or was asked last.
    pub provider: String,
    /// The model as the provider spells it.
    pub model: String,
    /// The status that the caller saw.
    pub status: u16,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// `relay`, `patched` or `translated`.
    pub lane: &'static str,
    /// How many upstream calls were made.
    pub attempts: u32,
    /// Tokens by bucket; all zero where nothing was used.
    #[serde(skip_serializing_if = "is_zero")]
    pub input_fresh: u64,
    /// See [`Usage`].
    #[serde(skip_serializing_if = "is_zero")]
    pub input_cache_read: u64,
    /// See [`Usage`].
    #[serde(skip_serializing_if = "is_zero")]
    pub input_cache_write: u64,
    /// See [`Usage`].
    #[serde(skip_serializing_if = "is_zero")]
    pub input_cache_write_1h: u64,
    /// See [`Usage`].
    #[serde(skip_serializing_if = "is_zero")]
    pub input_audio: u64,
    /// See [`Usage`].
    #[serde(skip_serializing_if = "is_zero")]
    pub input_image: u64,
    /// See [`Usage`].
    #[serde(skip_serializing_if = "is_zero")]
    pub output_text: u64,
    /// See [`Usage`].
    #[serde(skip_serializing_if = "is_zero")]
    pub output_reasoning: u64,
    /// See [`Usage`].
    #[serde(skip_serializing_if = "is_zero")]
    pub output_audio: u64,
    /// See [`Usage`].
    #[serde(skip_serializing_if = "is_zero")]
    pub output_image: u64,
    /// What the key is charged, in nano-dollars; `None` where the price is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nano: Option<i64>,
    /// What the provider asks, in nano-dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_cost_nano: Option<i64>,
    /// How the cost came about: JSON, as [`crate::provider::receipt`] writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<String>,
    /// The row that this one corrects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrects: Option<u32>,
    /// `settled_actual`, `settled_estimate`, `committed_ceiling` (not known: charged at its worst case) or `released`
    /// (nothing was used).
    pub state: &'static str,
    /// From the call to its first real token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<u64>,
    /// From the call to its end.
    pub total_ms: u64,
    /// The error code, where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the operator should know of a failure; never shown to the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The caller's own request id, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<String>,
    /// What the target could not honour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adjusted: Option<String>,
    /// What was tried, where that was more than one upstream call: a JSON array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tried: Option<String>,
    /// The caller's own end user, as the call named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What belongs together for the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// The caller's labels, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<String>,
    /// The country that a call of a watched key came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The network that a call of a watched key came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The version of the configuration that decided where it went; 0 while none was written.
    #[serde(skip_serializing_if = "is_none_yet")]
    pub config: u32,
    /// The model string, where it does not say by itself where the call went.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// The alias that served it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The experiment that it took part in, and as what: `experiment:variant`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// It took part in an experiment, and was served by somebody who is not tried out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub missed: bool,
    /// The kind of its task, where the classifier was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<&'static str>,
    /// The difficulty of its task, 1 to 5, where the classifier was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difficulty: Option<u8>,
    /// What it was made for, where no caller made it: `judge`, `shadow`, `embedding`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    /// The request id of the call for whose sake it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_for: Option<String>,
    /// Who was considered, excluded and scored how, where the call asked for that: a JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routing: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_none_yet(version: &u32) -> bool {
    *version == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Record {
    /// The row of a call that was booked at its ceiling, or the one that corrects it.
    #[must_use]
    pub fn of_ceiling(committed: Committed) -> Record {
        let Committed { request, key, team, cost, at } = committed;
        let (request_id, hold) = request.rsplit_once('.').unwrap_or((&request, "0"));
        // Attempts are numbered from 0; these rows stand far above them, two for each hold.
        let booked = (1 << 30) + 2 * (hold.parse::<u32>().unwrap_or(0) % (1 << 29));
        let corrects = (cost < 0).then_some(booked);
        Record {
            request_id: request_id.to_owned(),
            seq: booked + u32::from(corrects.is_some()),
            at,
            key_id: key,
            team_id: team,
            cost_nano: Some(cost),
            corrects,
            state: "committed_ceiling",
            ..Record::default()
        }
    }

    /// Notes what was used and what that costs.
    pub fn settle(&mut self, usage: Option<&Usage>, charged: Option<NanoUsd>, upstream: Option<NanoUsd>) {
        let Some(usage) = usage else {
            self.state = "released";
            return;
        };
        self.state = if usage.estimated { "settled_estimate" } else { "settled_actual" };
        self.input_fresh = usage.input_fresh;
        self.input_cache_read = usage.input_cache_read.unwrap_or(0);
        self.input_cache_write = usage.input_cache_write.unwrap_or(0);
        self.input_cache_write_1h = usage.input_cache_write_1h.unwrap_or(0);
        self.input_audio = usage.input_audio.unwrap_or(0);
        self.input_image = usage.input_image.unwrap_or(0);
        self.output_text = usage.output_text;
        self.output_reasoning = usage.output_reasoning.unwrap_or(0);
        self.output_audio = usage.output_audio.unwrap_or(0);
        self.output_image = usage.output_image.unwrap_or(0);
        self.cost_nano = charged.map(|amount| amount.0);
        self.upstream_cost_nano = upstream.map(|amount| amount.0);
    }

    /// Notes what the ledger was told that the key is charged: `at_ceiling`, if that is the most that the call could
    /// cost, because what it did cost is not known.
    pub fn charge(&mut self, charged: NanoUsd, at_ceiling: bool) {
        self.cost_nano = Some(charged.0);
        if at_ceiling {
            (self.state, self.prices) = ("committed_ceiling", None);
        }
    }

    /// How long its texts are that have no length of their own: what callers and providers say, and what is made of that.
    fn text_bytes(&self) -> usize {
        let texts = [
            &self.prices,
            &self.cause,
            &self.client_request_id,
            &self.adjusted,
            &self.tried,
            &self.user,
            &self.session,
            &self.tags,
            &self.asked,
            &self.routing,
        ];
        texts.into_iter().flatten().map(String::len).sum::<usize>() + self.model.len()
    }

    /// Notes when it ended and, where known, when it first spoke.
    pub fn time(&mut self, first_token: Option<UnixMillis>, now: UnixMillis) {
        self.first_token_ms = first_token.map(|at| at.since(self.at).0);
        let Millis(total) = now.since(self.at);
        self.total_ms = total;
    }
}

/// Records that have not reached the database yet, in the memory of one isolate.
#[derive(Debug, Default)]
pub struct RecordBuffer {
    waiting: Vec<Record>,
    dropped: u64,
}

/// With the database away for long, the newest records are kept: an isolate has 128 MB for everything.
const MOST_WAITING: usize = 4096;
/// With more than this waiting, explanations are given up before anything else: one can have as much as fifty records.
const MOST_EXPLAINED: usize = 256;
/// Bytes of texts that are taken together: what is taken goes to the log of one request, which takes 256 KB, and quotes in a
/// text take twice their room there.
const MOST_TEXT: usize = 150_000;

/// So many records are handed over together, and as soon as so many have come. On its way to the database a batch stands in
/// memory up to five times over (as records, as written, as the ledger receives it, and as it passes one on), and the
/// memory of an isolate never shrinks. It is as many lines of one request's log, of which the platform keeps 256 KB.
pub const MOST_TAKEN: usize = 250;
/// Room for waiting records is made in steps of so many. Twice the room each time would keep, after one busy moment, up
/// to a megabyte that is never needed again.
const ROOM_STEP: usize = 128;
/// How long records may gather. Leases are renewed as often: twice within the demand that they are sized for.
pub const GATHERED: Millis = Millis(1_000);
/// How long until the next are taken where more wait than are taken together: at the usual pace they would pile up until
/// some are lost.
const BEHIND: Millis = Millis(20);

impl RecordBuffer {
    /// How long to wait before records are taken again.
    #[must_use]
    pub fn wait(&self) -> Millis {
        if self.is_full() { BEHIND } else { GATHERED }
    }

    /// Whether as many wait as are taken together.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= MOST_TAKEN
    }

    /// Keeps a record until it is taken.
    pub fn push(&mut self, mut record: Record) {
        if self.waiting.len() >= MOST_EXPLAINED {
            record.routing = None;
        }
        if self.waiting.len() >= MOST_WAITING {
            self.waiting.drain(..MOST_WAITING / 4);
            self.dropped += MOST_WAITING as u64 / 4;
        }
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.reserve_exact(ROOM_STEP);
        }
        self.waiting.push(record);
    }

    /// Takes up to `most` records, oldest first; fewer where they are long.
    pub fn take(&mut self, most: usize) -> Vec<Record> {
        let mut bytes = 0;
        let fits = |record: &&Record| {
            bytes += record.text_bytes();
            bytes <= MOST_TEXT
        };
        let count = self.waiting.iter().take(most).take_while(fits).count();
        // One that is longer than all together may be goes alone: it must not hold up the others.
        let count = count.max(most.min(1)).min(self.waiting.len());
        self.waiting.drain(..count).collect()
    }

    /// Takes up to `most` of those that are wanted, oldest first; fewer where they are long.
    pub fn take_those(&mut self, most: usize, wanted: impl Fn(&Record) -> bool) -> Vec<Record> {
        if self.waiting.iter().all(&wanted) {
            return self.take(most);
        }
        let (those, others) = std::mem::take(&mut self.waiting).into_iter().partition(|record| wanted(record));
        self.waiting = those;
        let taken = self.take(most);
        self.waiting.extend(others);
        taken
    }

    /// The teams of waiting records, those that are wanted, each once.
    pub fn teams_with(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let teams = self.waiting.iter().filter_map(|record| record.team_id.as_deref()).filter(|team| wanted(team));
        let mut teams: Vec<String> = teams.map(str::to_owned).collect();
        sorted::sort(&mut teams);
        teams.dedup();
        teams
    }

    /// Puts records back that could not be written.
    pub fn put_back(&mut self, mut records: Vec<Record>) {
        records.append(&mut self.waiting);
        let surplus = records.len().saturating_sub(MOST_WAITING);
        self.dropped += surplus as u64;
        self.waiting = records.split_off(surplus);
    }

    /// How many are waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many had to be given up since this was last asked: somebody has to be told.
    pub fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the platform keeps of one request's log (<https://developers.cloudflare.com/workers/platform/limits/>).
    const MOST_LOGGED: usize = 256_000;

    #[test]
    fn what_is_not_there_takes_no_room() {
        let record = Record { request_id: "req_1".into(), input_fresh: 3, state: "released", ..Record::default() };
        assert_eq!(
            serde_json::to_string(&record).expect("JSON"),
            r#"{"request_id":"req_1","seq":0,"at":0,"key_id":"","endpoint":"","provider":"","model":"","status":0,"stream":false,"lane":"","attempts":0,"input_fresh":3,"state":"released","total_ms":0}"#
        );
    }

    #[test]
    fn explanations_neither_fill_the_memory_nor_overfill_a_batch() {
        let mut buffer = RecordBuffer::default();
        for seq in 0..1_000 {
            buffer.push(Record { seq, routing: Some("x".repeat(20_000)), ..Record::default() });
        }
        let first = buffer.take(1_000);
        assert_eq!(first.len(), MOST_TEXT / 20_000);
        let explained =
            buffer.take(1_000).len() + buffer.waiting.iter().filter(|record| record.routing.is_some()).count();
        assert_eq!(first.len() + explained, MOST_EXPLAINED);
    }

    #[test]
    fn what_is_taken_together_fits_the_log_of_one_request() {
        let usual = |seq| Record {
            request_id: "req_05b88d0f3ee8cb25f221dc48cd96b7f2".into(),
            seq,
            key_id: "key_0123456789abcdef".into(),
            team_id: Some("team_0123456789abcdef".into()),
            endpoint: "chat/completions",
            provider: "anthropic".into(),
            model: "claude-sonnet-4-5-20250929".into(),
            prices: Some(
                r#"{"source":"catalogue 2026-11","lines":[["input",22000,3000000000],["output",950,9]]}"#.into(),
            ),
            state: "settled_actual",
            lane: "translated",
            input_fresh: 22_000,
            input_cache_read: 18_000,
            output_text: 950,
            output_reasoning: 3_200,
            cost_nano: Some(1_234_567_890),
            upstream_cost_nano: Some(1_234_567_890),
            first_token_ms: Some(1_234),
            total_ms: 23_456,
            at: UnixMillis(1_790_000_000_000),
            tags: Some("search,production,eu".into()),
            ..Record::default()
        };
        let mut buffer = RecordBuffer::default();
        (0..1_000).for_each(|seq| buffer.push(usual(seq)));
        let lines: usize = buffer.take(MOST_TAKEN).iter().map(|record| crate::json::to_string(record).len()).sum();
        assert!(lines > 100_000 && lines < MOST_LOGGED, "{lines} bytes");
        buffer = RecordBuffer::default();

        let text = |length| Some("\"".repeat(length));
        let tried = Some(format!("[{}]", [r#"{"target":"p/m","status":500,"reason":"upstream_error"}"#; 40].join(",")));
        for seq in 0..1_000 {
            let labels = Record { user: text(256), session: text(256), tags: text(514), ..Record::default() };
            let (model, cause, tried) = ("m".repeat(250), text(800), tried.clone());
            buffer.push(Record { seq, model, cause, tried, ..labels });
        }
        let mut taken = 0;
        while !buffer.is_empty() {
            let batch = buffer.take(MOST_TAKEN);
            taken += batch.len();
            let bytes: usize = batch.iter().map(|record| crate::json::to_string(record).len()).sum();
            assert!(!batch.is_empty() && bytes < MOST_LOGGED, "{} records of {bytes} bytes", batch.len());
        }
        assert_eq!(taken, 1_000);
        buffer.push(Record { routing: text(MOST_TEXT + 1), ..Record::default() });
        buffer.push(Record::default());
        assert_eq!([buffer.take(10).len(), buffer.take(10).len(), buffer.take(0).len()], [1, 1, 0]);
    }

    #[test]
    fn a_thousand_calls_a_second_and_more_are_kept_up_with() {
        let mut buffer = RecordBuffer::default();
        let (mut now, mut pushed) = (0, 0);
        // Three thousand a second, for ten seconds.
        while now < 10_000 {
            let Millis(wait) = buffer.wait();
            now += wait;
            for _ in 0..wait * 3 {
                buffer.push(Record::default());
                pushed += 1;
            }
            buffer.take(MOST_TAKEN);
        }
        assert!(pushed >= 30_000);
        assert_eq!(buffer.take_dropped(), 0);
    }

    #[test]
    fn room_is_made_for_what_waits_and_not_for_twice_as_much() {
        // So many have come while a full batch was on its way.
        let most = MOST_TAKEN + 250;
        let mut buffer = RecordBuffer::default();
        for _ in 0..20 {
            while buffer.len() < most {
                assert_eq!(buffer.is_full(), buffer.len() >= MOST_TAKEN);
                buffer.push(Record::default());
            }
            assert!(buffer.waiting.capacity() < most + ROOM_STEP, "room for {}", buffer.waiting.capacity());
            assert_eq!(buffer.take(MOST_TAKEN).len(), MOST_TAKEN);
        }
    }

    #[test]
    fn the_correction_of_a_call_that_was_booked_at_its_ceiling_says_what_it_corrects() {
        let committed =
            |cost| Committed { request: "req_1.7".into(), key: "k".into(), team: None, cost, at: UnixMillis(9) };
        let [booked, corrected] = [30, -30].map(|cost| Record::of_ceiling(committed(cost)));
        assert_eq!((booked.request_id.as_str(), booked.cost_nano, booked.corrects), ("req_1", Some(30), None));
        assert_eq!((corrected.cost_nano, corrected.corrects), (Some(-30), Some(booked.seq)));
        assert!(booked.seq > 1_000_000 && corrected.seq == booked.seq + 1, "far above attempts, each its own");
    }

    #[test]
    fn the_buffer_is_bounded_and_keeps_the_newest() {
        let mut buffer = RecordBuffer::default();
        for seq in 0..10_000 {
            buffer.push(Record { seq, ..Record::default() });
        }
        assert!(buffer.len() <= MOST_WAITING);
        assert_eq!(buffer.len() as u64 + buffer.take_dropped(), 10_000);
        assert_eq!(buffer.take_dropped(), 0, "they are told of once");
        let taken = buffer.take(usize::MAX);
        assert_eq!(taken.last().map(|record| record.seq), Some(9_999));
        buffer.put_back(taken.clone());
        assert_eq!(buffer.take(usize::MAX), taken);
    }
}

//! `/admin/experiments/{id}`: how the variants of an experiment do, and the end of those that do too badly.

use serde::Serialize;

use super::answer::{Answer, Refusal};
use super::config::put_in_force;
use super::page::Parameters;
use super::{Call, Store};
use crate::config;
use crate::json::{Cursor, Edits, readable};
use crate::route::experiment::{CONTROL, Experiment, Tally};
use crate::units::UnixMillis;

/// What is shown where no `from` is given: 30 days.
const USUAL_TIME: i64 = 30 * 24 * 3_600_000;
/// Versions of the configuration that are looked at for when an experiment began.
const MOST_VERSIONS: u32 = 50;
/// The normal deviate that 95 of 100 lie within.
const CONFIDENT: f64 = 1.96;

/// Sums over the calls of one variant. Money in dollars, squares for the spread.
#[derive(Clone, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "each is a count, a sum or a sum of squares of what its name says")]
pub struct VariantRow {
    pub variant: String,
    pub calls: u64,
    /// Failed through no fault of the caller, or served by somebody who is not tried out.
    pub failed: u64,
    pub priced: u64,
    pub cost: f64,
    pub cost_squares: f64,
    pub spoke: u64,
    pub first_token_ms: f64,
    pub first_token_squares: f64,
    pub scored: u64,
    pub score: f64,
    pub score_squares: f64,
}
readable! { VariantRow {
    variant, calls, failed, priced, cost, cost_squares, spoke, first_token_ms, first_token_squares, scored, score,
    score_squares,
} }

/// What one version of the configuration says of an experiment and of its alias: JSON, as it is written there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExperimentVersion {
    /// When the version was written.
    pub created_at: UnixMillis,
    /// The experiment, if it is there.
    pub experiment: Option<String>,
    /// The alias, if it is there.
    pub alias: Option<String>,
}
readable! { ExperimentVersion { created_at, experiment, alias } }

#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    alias: &'a str,
    from: UnixMillis,
    until: UnixMillis,
    variants: Vec<Variant<'a>>,
}

#[derive(Serialize)]
struct Variant<'a> {
    name: &'a str,
    share: f64,
    /// Whether it serves nobody, and is sent its share of the calls besides.
    shadow: bool,
    calls: u64,
    error_rate: Option<Estimate>,
    cost: Option<Estimate>,
    first_token_ms: Option<Estimate>,
    score: Option<Estimate>,
    /// Why it should get no more calls, if it should not.
    verdict: Option<&'static str>,
}

/// A figure and between what it truly lies, with 95 % confidence.
#[derive(Serialize)]
struct Estimate {
    of: u64,
    mean: f64,
    low: f64,
    high: f64,
}

/// `GET /admin/experiments/{id}`: figures of each variant, from the records of all isolates.
pub(super) async fn read<S: Store>(call: &Call<'_, S>, id: &str) -> Result<Answer, Refusal> {
    let mut parameters = Parameters::read(call.request.query);
    let until = parameters.moment("until").unwrap_or(call.request.now);
    let from = parameters.moment("from").unwrap_or(UnixMillis(until.0.saturating_sub(USUAL_TIME)));
    if from >= until {
        parameters.fault("from", "must be before `until`");
    }
    parameters.end()?;
    let unknown = || Refusal::new(404, "experiment_not_found", "The configuration in force has no such experiment.");
    let stored = call.store.config().await?.ok_or_else(unknown)?;
    let (config, _) = config::read_stored(stored.document.as_bytes()).map_err(|_| unknown())?;
    let experiment = config.routing.experiments.get(id).ok_or_else(unknown)?;
    let rows = call.store.variants(id, from, until).await?;
    let nothing = VariantRow::default();
    let row = |name: &str| rows.iter().find(|row| row.variant == name).unwrap_or(&nothing);
    let control = row(CONTROL);
    let serving = experiment.variants.iter().filter(|variant| variant.shadow.is_none());
    let others: f64 = serving.map(|variant| variant.share).sum();
    let mut variants = vec![Variant::of(CONTROL, 1.0 - others, row(CONTROL), None)];
    for tried in &experiment.variants {
        let row = row(&tried.name);
        let shown = Variant::of(&tried.name, tried.share, row, verdict(experiment, row, control));
        variants.push(Variant { shadow: tried.shadow.is_some(), ..shown });
    }
    Answer::json(200, &Shown { id, alias: &experiment.alias, from, until, variants })
}

/// Takes the share of every variant that does too badly, in a new version of the configuration: so it takes effect
/// everywhere, stands in the audit log, and can be taken back. Counted is what came since the experiment and its alias
/// were last written otherwise, whatever else of the configuration has changed meanwhile.
pub(super) async fn stop<S: Store>(call: &Call<'_, S>) -> Result<(), Refusal> {
    let Some(current) = call.store.config().await? else { return Ok(()) };
    let Ok((config, _)) = config::read_stored(current.document.as_bytes()) else { return Ok(()) };
    let mut document = current.document.clone();
    let running = |experiment: &Experiment| experiment.variants.iter().any(|variant| variant.share > 0.0);
    for (id, experiment) in config.routing.experiments.iter().filter(|(_, experiment)| running(experiment)) {
        let history = call.store.experiment_history(id, &experiment.alias, MOST_VERSIONS).await?;
        let since = unchanged_since(&history).unwrap_or(current.version.created_at);
        let rows = call.store.variants(id, since, call.request.now).await?;
        let row = |name: &str| rows.iter().find(|row| row.variant == name);
        let Some(control) = row(CONTROL) else { continue };
        // Nobody is served by a shadow, so nobody is harmed by one.
        let serving = experiment.variants.iter().filter(|variant| variant.share > 0.0 && variant.shadow.is_none());
        for variant in serving {
            if row(&variant.name).and_then(|row| verdict(experiment, row, control)).is_some() {
                document = without_share(&document, id, &variant.name).unwrap_or(document);
            }
        }
    }
    if document == current.document {
        return Ok(());
    }
    put_in_force(call, &current, &document).await
}

/// Since when an experiment is as the newest of these versions, which comes first, has it.
fn unchanged_since(history: &[ExperimentVersion]) -> Option<UnixMillis> {
    let newest = history.first()?;
    let same = |version: &&ExperimentVersion| version.experiment == newest.experiment && version.alias == newest.alias;
    history.iter().take_while(same).last().map(|version| version.created_at)
}

fn verdict(experiment: &Experiment, variant: &VariantRow, control: &VariantRow) -> Option<&'static str> {
    experiment.stop.verdict(&variant.tally(), &control.tally())
}

/// The document with a variant's share at zero; the rest stays byte for byte.
fn without_share(document: &str, experiment: &str, variant: &str) -> Option<String> {
    let body = document.as_bytes();
    let mut span = 0..body.len();
    for key in ["experiments", experiment, "variants", variant, "share"] {
        let members = Cursor::new(body.get(span.clone())?).ok()?.spans().ok()?;
        let value = members.iter().find(|member| member.key == key)?.value.clone();
        span = span.start + value.start..span.start + value.end;
    }
    let mut edits = Edits::of(body);
    edits.replace(span, &b"0"[..]);
    String::from_utf8(edits.apply().into_owned()).ok()
}

impl VariantRow {
    fn tally(&self) -> Tally {
        let VariantRow { calls, failed, spoke, first_token_ms, first_token_squares, .. } = *self;
        Tally { calls, failed, spoke, first_token_ms, first_token_squares }
    }
}

impl<'a> Variant<'a> {
    fn of(name: &'a str, share: f64, row: &VariantRow, verdict: Option<&'static str>) -> Variant<'a> {
        Variant {
            name,
            share,
            shadow: false,
            calls: row.calls,
            error_rate: Estimate::of_share(row.failed, row.calls),
            cost: Estimate::of_mean(row.priced, row.cost, row.cost_squares),
            first_token_ms: Estimate::of_mean(row.spoke, row.first_token_ms, row.first_token_squares),
            score: Estimate::of_mean(row.scored, row.score, row.score_squares),
            verdict,
        }
    }
}

impl Estimate {
    /// A share, by Wilson's interval: it holds for few calls and for shares near zero, too.
    fn of_share(some: u64, all: u64) -> Option<Estimate> {
        if all == 0 {
            return None;
        }
        let (count, mean) = (all as f64, some as f64 / all as f64);
        let square = CONFIDENT * CONFIDENT;
        let middle = (mean + square / (2.0 * count)) / (1.0 + square / count);
        let half =
            CONFIDENT * (mean * (1.0 - mean) / count + square / (4.0 * count * count)).sqrt() / (1.0 + square / count);
        Some(Estimate { of: all, mean, low: (middle - half).max(0.0), high: (middle + half).min(1.0) })
    }

    /// A mean, by the normal interval; of a single value, that value.
    fn of_mean(count: u64, sum: f64, squares: f64) -> Option<Estimate> {
        if count == 0 {
            return None;
        }
        let n = count as f64;
        let mean = sum / n;
        let spread = if count > 1 { ((squares - sum * mean) / (n - 1.0)).max(0.0).sqrt() } else { 0.0 };
        let half = CONFIDENT * spread / n.sqrt();
        Some(Estimate { of: count, mean, low: mean - half, high: mean + half })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_books() {
        let share = Estimate::of_share(10, 100).expect("some calls");
        // Wilson's interval for 10 of 100.
        assert!(
            (share.low - 0.0552).abs() < 1e-3 && (share.high - 0.1744).abs() < 1e-3,
            "{} {}",
            share.low,
            share.high
        );
        let none = Estimate::of_share(0, 20).expect("some calls");
        assert!(none.low == 0.0 && none.high > 0.1, "never certain");
        // 2, 4, 4, 4, 5, 5, 7, 9: mean 5, spread 2.138.
        let mean = Estimate::of_mean(8, 40.0, 232.0).expect("some values");
        assert!((mean.mean - 5.0).abs() < 1e-9 && (mean.high - mean.mean - 1.4816).abs() < 1e-3, "{}", mean.high);
        assert!(Estimate::of_mean(0, 0.0, 0.0).is_none() && Estimate::of_share(0, 0).is_none());
    }

    #[test]
    fn an_experiment_began_when_it_was_last_written_otherwise() {
        let version = |at: i64, experiment: &str, alias: &str| ExperimentVersion {
            created_at: UnixMillis(at),
            experiment: Some(experiment.to_owned()),
            alias: Some(alias.to_owned()),
        };
        let history = [version(5, "new", "a"), version(4, "new", "a"), version(3, "old", "a"), version(2, "new", "a")];
        assert_eq!(unchanged_since(&history), Some(UnixMillis(4)));
        assert_eq!(unchanged_since(&[version(5, "new", "b"), version(4, "new", "a")]), Some(UnixMillis(5)));
        assert_eq!(unchanged_since(&[]), None);
    }

    #[test]
    fn a_share_is_taken_and_the_rest_stays() {
        let document =
            r#"{"version": 1, "experiments": {"e": {"variants": {"a": {"share": 0.10}, "b": {"share" : 0.2}}}}}"#;
        let without = without_share(document, "e", "b").expect("it is there");
        assert_eq!(without, document.replace("0.2}", "0}"));
        assert_eq!(without_share(document, "e", "c"), None);
    }
}

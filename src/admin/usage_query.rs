//! What is asked of the sums that the database keeps of all calls.

use crate::json::readable;
use crate::units::UnixMillis;

/// What sums can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each name says all there is to say")]
pub enum Dimension {
    Key,
    Team,
    User,
    Tag,
    Model,
    Provider,
    Variant,
    Day,
    Hour,
}

/// Which sums to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// From this hour on.
    pub from: UnixMillis,
    /// Up to, not including, this hour.
    pub until: UnixMillis,
    /// What rows are told apart by; one row of everything, where there is nothing.
    pub group_by: Vec<Dimension>,
    /// Only what has these values.
    pub filters: Vec<(Dimension, String)>,
    /// The dearest first, instead of by the groups.
    pub by_cost: bool,
    /// Only rows behind the one of these groups, as [`UsageRow::group`] tells them; all, where there is nothing.
    pub after: Vec<String>,
    /// How many rows.
    pub most: u32,
}

/// One sum. Of the groups, those that were asked for are there; an empty text is what had none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the API description says what each means")]
pub struct UsageRow {
    pub key_id: Option<String>,
    pub team_id: Option<String>,
    pub user: Option<String>,
    pub tag: Option<String>,
    pub model: Option<String>,
    pub provider: Option<String>,
    pub variant: Option<String>,
    pub day: Option<UnixMillis>,
    pub hour: Option<UnixMillis>,
    pub calls: i64,
    pub failed_calls: i64,
    pub estimated_calls: i64,
    pub unpriced_calls: i64,
    pub input_tokens: i64,
    pub cached_tokens: i64,
    pub output_tokens: i64,
    pub reasoning_tokens: i64,
    pub cost_nano: i64,
    pub upstream_cost_nano: i64,
}
readable! { UsageRow {
    key_id, team_id, user, tag, model, provider, variant, day, hour, calls, failed_calls, estimated_calls,
    unpriced_calls, input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_nano, upstream_cost_nano,
} }

impl Dimension {
    /// Those that a sum can be limited to one value of.
    pub const FILTERS: [Dimension; 7] = [
        Dimension::Key,
        Dimension::Team,
        Dimension::User,
        Dimension::Tag,
        Dimension::Model,
        Dimension::Provider,
        Dimension::Variant,
    ];

    /// Whether it is a time.
    #[must_use]
    pub fn is_time(self) -> bool {
        matches!(self, Dimension::Day | Dimension::Hour)
    }

    /// Reads the word that `group_by` has for it.
    #[must_use]
    pub fn parse(word: &str) -> Option<Dimension> {
        Some(match word {
            "key" => Dimension::Key,
            "team" => Dimension::Team,
            "user" => Dimension::User,
            "tag" => Dimension::Tag,
            "model" => Dimension::Model,
            "provider" => Dimension::Provider,
            "variant" => Dimension::Variant,
            "day" => Dimension::Day,
            "hour" => Dimension::Hour,
            _ => return None,
        })
    }

    /// Its name in rows and as a filter.
    #[must_use]
    pub fn field(self) -> &'static str {
        match self {
            Dimension::Key => "key_id",
            Dimension::Team => "team_id",
            Dimension::User => "user",
            Dimension::Tag => "tag",
            Dimension::Model => "model",
            Dimension::Provider => "provider",
            Dimension::Variant => "variant",
            Dimension::Day => "day",
            Dimension::Hour => "hour",
        }
    }
}

impl UsageQuery {
    /// Whether calls are told apart by the variant of an experiment. The sums are not kept by that, so then they are
    /// made of the calls themselves, of those that took part in one.
    #[must_use]
    pub fn asks_for_variants(&self) -> bool {
        let filters = self.filters.iter().map(|(dimension, _)| dimension);
        self.group_by.iter().chain(filters).any(|dimension| *dimension == Dimension::Variant)
    }
}

impl UsageRow {
    /// The value of one of its groups, as text; empty where it is not grouped by that.
    #[must_use]
    pub fn group(&self, dimension: Dimension) -> String {
        let text = match dimension {
            Dimension::Key => &self.key_id,
            Dimension::Team => &self.team_id,
            Dimension::User => &self.user,
            Dimension::Tag => &self.tag,
            Dimension::Model => &self.model,
            Dimension::Provider => &self.provider,
            Dimension::Variant => &self.variant,
            Dimension::Day => return self.day.map_or(String::new(), |at| at.0.to_string()),
            Dimension::Hour => return self.hour.map_or(String::new(), |at| at.0.to_string()),
        };
        text.clone().unwrap_or_default()
    }
}

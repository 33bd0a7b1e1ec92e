use serde::Serialize;

use crate::json::readable;
use crate::units::{Millis, UnixMillis};

/// How a target has been doing, over all isolates of a region group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Half of its streams spoke within this; `None` with fewer samples than the policy wants.
    #[serde(rename = "p50_ms", skip_serializing_if = "Option::is_none")]
    pub p50: Option<Millis>,
    /// All but a twentieth of its streams spoke within this.
    #[serde(rename = "p95_ms", skip_serializing_if = "Option::is_none")]
    pub p95: Option<Millis>,
    /// The time to the first token, recent streams weighing more.
    #[serde(rename = "average_ms", skip_serializing_if = "Option::is_none")]
    pub average: Option<Millis>,
    /// Half of its plain answers took no longer, from the request to the last of them; `None` as for streams.
    #[serde(rename = "whole_p50_ms", skip_serializing_if = "Option::is_none")]
    pub whole_p50: Option<Millis>,
    /// All but a twentieth of its plain answers took no longer.
    #[serde(rename = "whole_p95_ms", skip_serializing_if = "Option::is_none")]
    pub whole_p95: Option<Millis>,
    /// The mean of them, however few they are.
    #[serde(rename = "whole_average_ms", skip_serializing_if = "Option::is_none")]
    pub whole_average: Option<Millis>,
    /// How fast its tokens come, once they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<u32>,
    /// Tokens of its plain answers by the time to the whole of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole_tokens_per_second: Option<u32>,
    /// Failures among the calls of the window; `None` with fewer calls than the policy wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_percent: Option<u32>,
    /// What its provider's limits leave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headroom: Option<Headroom>,
}
readable! { Figures {
    p50 = "p50_ms", p95 = "p95_ms", average = "average_ms", whole_p50 = "whole_p50_ms", whole_p95 = "whole_p95_ms",
    whole_average = "whole_average_ms", tokens_per_second, whole_tokens_per_second, error_percent, headroom,
} }

/// What a provider's rate limits leave, by its own headers: the limit of which the least is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Headroom {
    /// What is left of it, in thousandths.
    pub left: u16,
    /// When it is full again, or the news is too old to count.
    pub until: UnixMillis,
}
readable! { Headroom { #[required] left, #[required] until } }

impl Headroom {
    /// Below this, in thousandths, a target goes behind others before it says 429.
    pub const LOW: u16 = 30;

    /// Whether the target should be spared at `now`, if there is another.
    #[must_use]
    pub fn is_low(self, now: UnixMillis) -> bool {
        self.left < Headroom::LOW && now < self.until
    }
}

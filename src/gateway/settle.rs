//! What a call is charged: usage as the upstream said, or an estimate that is marked as one.

use crate::chat::Usage;
use crate::http::Task;
use crate::keys::Markup;
use crate::provider::{cost, receipt};
use crate::units::{NanoUsd, UnixMillis};
use crate::wire::Cost;

use super::Gateway;
use super::attempt::Attempt;
use super::call::Call;
use super::service::{Sizes, used};

/// Bytes of text that make a token, for estimates. English has about four; other scripts have fewer tokens a byte than
/// this assumes, so the estimate errs upwards there.
const BYTES_PER_TOKEN: u64 = 4;
/// The receipt of a cost that nobody could work out, and the upstream told.
const STATED: &str = r#"{"source":"provider","lines":[]}"#;

impl Gateway {
    /// What `usage` costs at the price that held when the call came, or, where no price is known, what the upstream
    /// says it charges; `None` where nobody knows. Of what is sold by the unit the upstream's word comes first: lists
    /// have one price for an image of whatever size.
    pub(super) fn cost(&self, call: &Call, usage: &Usage) -> Option<Cost> {
        let charge = if call.funds.fixed_paid { Markup::charge_part } else { Markup::charge };
        let attempt = call.attempt.as_ref()?;
        let priced = attempt.price.as_ref().and_then(|price| cost(usage, price));
        let upstream =
            if usage.counted.is_some() { usage.stated_cost.or(priced)? } else { priced.or(usage.stated_cost)? };
        let markup = call.grant.as_ref().map(|grant| grant.markup()).unwrap_or_default();
        // With the caller's own provider key the provider's bill goes to the caller.
        let charged = charge(&markup, upstream);
        let charged = if attempt.own_key { (charged - upstream).max(NanoUsd::ZERO) } else { charged };
        Some(Cost { charged, upstream })
    }
}

impl Attempt {
    /// How the cost of `usage` comes about, for the record.
    pub(super) fn receipt(&self, usage: &Usage) -> String {
        match &self.price {
            Some(_) if usage.counted.is_some() && usage.stated_cost.is_some() => STATED.to_owned(),
            Some(price) if cost(usage, price).is_some() => receipt(usage, price),
            _ => STATED.to_owned(),
        }
    }
}

/// Counts what was seen where the upstream counted nothing.
#[must_use]
pub fn estimate(request_bytes: u64, output_bytes: u64) -> Usage {
    Usage {
        input_fresh: request_bytes.div_ceil(BYTES_PER_TOKEN),
        output_text: output_bytes.div_ceil(BYTES_PER_TOKEN),
        estimated: true,
        ..Usage::default()
    }
}

impl Call {
    /// What its attempt is taken to have used of whose answer nothing was seen: the upstream has the prompt, and bills it.
    pub(super) fn unseen(&self) -> Usage {
        let price = self.attempt.as_ref().and_then(|attempt| attempt.price.as_deref());
        match self.task() {
            // Nobody charges for it.
            Some(Task::Count) => Usage::default(),
            Some(Task::Service(service)) => {
                Usage { estimated: true, ..used(service, None, &Sizes::read(&self.incoming), price) }
            }
            _ => estimate(self.incoming.body.len() as u64, 0),
        }
    }
}

/// Stands for what an attempt used that the caller never read: no tokens of theirs, and not known exactly.
pub(super) fn unread() -> Usage {
    Usage { estimated: true, ..Usage::default() }
}

/// When a call's price is looked up: the moment it came.
#[must_use]
pub(super) fn price_moment(call: &Call) -> UnixMillis {
    call.started
}

use super::protocol::Position;
use super::{Verdict, View};
use crate::sorted::SortedMap;
use crate::units::UnixMillis;

/// How the targets of one provider are doing, for a status page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProviderHealth {
    /// How many are known.
    pub targets: u32,
    /// How many of them are blocked or probed.
    pub blocked: u32,
    /// The operator switched off the provider as a whole.
    pub is_off: bool,
}

impl ProviderHealth {
    /// One word: `off`, `down`, `degraded` or `up`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            ProviderHealth { is_off: true, .. } => "off",
            ProviderHealth { blocked: 0, .. } => "up",
            ProviderHealth { targets, blocked, .. } if blocked >= targets => "down",
            _ => "degraded",
        }
    }
}

impl View {
    /// How the providers are doing, as far as anything is known of them.
    #[must_use]
    pub fn providers(&self, now: UnixMillis) -> SortedMap<&str, ProviderHealth> {
        let mut providers = SortedMap::<&str, ProviderHealth>::new();
        for target in self.targets.keys().filter(|target| target.as_str() == target.target()) {
            let health = providers.get_or_default(target.provider());
            health.targets += 1;
            health.blocked += u32::from(self.seen(target.as_str(), now).1 != Verdict::Pass);
        }
        let off = self.decisions(now).filter(|switch| switch.position == Position::Block);
        for switch in off.filter(|switch| !switch.subject.contains('/')) {
            providers.get_or_default(&switch.subject).is_off = true;
        }
        providers
    }
}

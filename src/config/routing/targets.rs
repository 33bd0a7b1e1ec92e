//! The `targets` section: what an operator knows of targets, by which calls can be pinned to them.

use super::super::ProviderEntry;
use super::super::place::Place;
use super::owned;
use crate::keys::ModelPattern;
use crate::route::contender::Traits;
use crate::sorted::{self, SortedMap};

/// Patterns of `provider/model` with what holds for them, the shortest pattern first.
pub(in super::super) fn read(
    place: &Place<'_>,
    declared: &SortedMap<String, ProviderEntry>,
) -> Vec<(ModelPattern, Traits)> {
    let mut entries = place.entries();
    sorted::sort_by_key(&mut entries, |(pattern, _)| pattern.len());
    entries
        .into_iter()
        .map(|(pattern, place)| {
            if pattern.is_empty() || pattern.len() > super::LONGEST {
                place.fault("a target is a pattern such as `azure/*`, in at most 256 bytes");
            }
            (super::pattern(pattern, &place, declared), traits(&place))
        })
        .collect()
}

fn traits(place: &Place<'_>) -> Traits {
    let mut traits = Traits::default();
    let known = ["jurisdictions", "regions", "zero_retention", "no_training", "quantization"];
    for (key, place) in place.members(&known) {
        match key {
            "jurisdictions" => traits.jurisdictions = owned(&place, 20),
            "regions" => traits.regions = owned(&place, 50),
            "zero_retention" => traits.zero_retention = place.boolean().unwrap_or_default(),
            "no_training" => traits.no_training = place.boolean().unwrap_or_default(),
            _ => traits.quantization = place.text(20).map(str::to_owned),
        }
    }
    traits
}

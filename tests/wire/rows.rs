//! The provider rows against fixtures and catalogue.

use std::collections::BTreeSet;

use latchkey::provider::PROVIDERS;

use super::corpus::{fixtures, root};

#[test]
fn every_row_has_a_fixture() {
    for row in PROVIDERS {
        let found = match row.recordings {
            Some(folder) => fixtures().iter().any(|recording| recording.provider == folder && !recording.synthetic),
            None => fixtures().iter().any(|recording| recording.provider == row.id && recording.synthetic),
        };
        assert!(found, "{} has neither a recording nor a fixture that says that it is synthetic", row.id);
    }
}

#[test]
fn a_synthetic_fixture_is_for_a_row_without_recordings() {
    for recording in fixtures().iter().filter(|recording| recording.synthetic) {
        let row = PROVIDERS.iter().find(|row| row.id == recording.provider);
        assert!(row.is_some_and(|row| row.recordings.is_none()), "{}", recording.id);
    }
}

#[test]
fn every_provider_of_the_catalogue_is_mapped() {
    // Other protocols, or none for chat.
    const WITHOUT_A_ROW: [&str; 4] = ["deepgram", "elevenlabs", "stability", "watsonx"];
    let path = root().join("../shared/catalog/models.json");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("SKIPPED: no catalogue at {}", path.display());
        return;
    };
    let models: Vec<serde_json::Value> = serde_json::from_str(&text).expect("the catalogue is JSON");
    let listed: BTreeSet<&str> = models.iter().filter_map(|model| model["provider"].as_str()).collect();
    for provider in listed {
        let rows = PROVIDERS.iter().filter(|row| row.catalog_id == provider).count();
        let expected = !WITHOUT_A_ROW.contains(&provider);
        assert_eq!(rows > 0, expected, "{provider}");
    }
}

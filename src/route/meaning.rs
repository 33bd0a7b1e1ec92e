//! Routes described by example: a call means the route whose phrases its words are nearest to.
//!
//! Words are compared as vectors of an embedding model: those of the phrases are made once, when the configuration is
//! put in force, that of a call when it comes. Only directions are compared, so vectors are kept as small whole numbers.

use serde::Serialize;

use super::chance::mix;
use crate::json::readable;
use crate::units::Millis;

/// Numbers of one vector; longer ones are cut, which comparing their directions bears.
const MOST_NUMBERS: usize = 4_096;

/// The routes of a configuration and how calls are compared with them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Semantics {
    /// The embedding model: `provider/model`.
    pub model: String,
    /// How long a call waits for its vector; then it is decided without.
    pub within: Millis,
    /// How near a call must be to a phrase, as the cosine of the angle between them: 1 is the same.
    pub least_similarity: f64,
    /// The phrases of each route.
    pub routes: Vec<(String, Vec<String>)>,
}

/// What a call means.
#[derive(Clone, Debug, PartialEq)]
pub struct Meaning {
    /// The nearest route; none where no phrase is near enough.
    pub route: Option<String>,
    /// How near the nearest phrase is.
    pub similarity: f64,
}

/// The vectors of all phrases, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Vectors {
    /// Of which phrases, by which model.
    pub fingerprint: String,
    directions: Vec<Vec<i8>>,
}
readable! { Vectors { #[required] fingerprint, #[required] directions } }

impl Semantics {
    /// What tells these phrases and this model from all others.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let seed = mix(1, &self.model, "");
        let all = self.phrases().fold(seed, |hash, phrase| mix(hash, phrase, ""));
        format!("{all:016x}")
    }

    /// All phrases, route by route.
    pub fn phrases(&self) -> impl Iterator<Item = &str> {
        self.routes.iter().flat_map(|(_, phrases)| phrases).map(String::as_str)
    }

    /// The route that a vector is nearest to; `None` where `vectors` are not those of these phrases.
    #[must_use]
    pub fn nearest(&self, vectors: &Vectors, vector: &[f64]) -> Option<Meaning> {
        let names = self.routes.iter().flat_map(|(name, phrases)| phrases.iter().map(move |_| name));
        let direction = direction(vector);
        let near = names.zip(&vectors.directions).map(|(name, phrase)| (name, similarity(phrase, &direction)));
        let (name, similarity) = near.max_by(|one, other| one.1.total_cmp(&other.1))?;
        let route = (similarity >= self.least_similarity).then(|| name.clone());
        Some(Meaning { route, similarity })
    }
}

impl Vectors {
    /// Those of the phrases of `semantics`, as a model gave them; `None` where they are not as many.
    #[must_use]
    pub fn of(semantics: &Semantics, vectors: &[Vec<f64>]) -> Option<Vectors> {
        let directions: Vec<Vec<i8>> = vectors.iter().map(|vector| direction(vector)).collect();
        let complete = directions.len() == semantics.phrases().count() && directions.iter().all(|one| !one.is_empty());
        complete.then(|| Vectors { fingerprint: semantics.fingerprint(), directions })
    }
}

/// A vector with its largest number at 127.
fn direction(vector: &[f64]) -> Vec<i8> {
    let largest = vector.iter().fold(0.0_f64, |largest, number| largest.max(number.abs()));
    let scale = if largest > 0.0 && largest.is_finite() { 127.0 / largest } else { 0.0 };
    vector.iter().take(MOST_NUMBERS).map(|number| (number * scale).round() as i8).collect()
}

/// The cosine of the angle between two vectors; none is near one of another length.
fn similarity(one: &[i8], other: &[i8]) -> f64 {
    if one.len() != other.len() {
        return 0.0;
    }
    let product = |left: &[i8], right: &[i8]| {
        left.iter().zip(right).map(|(left, right)| i64::from(*left) * i64::from(*right)).sum::<i64>() as f64
    };
    let length = (product(one, one) * product(other, other)).sqrt();
    if length > 0.0 { product(one, other) / length } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn semantics() -> Semantics {
        let phrases = |list: &[&str]| list.iter().map(|phrase| (*phrase).to_owned()).collect();
        Semantics {
            model: "a/b".to_owned(),
            least_similarity: 0.8,
            routes: vec![
                ("refunds".to_owned(), phrases(&["my money back", "return this"])),
                ("code".to_owned(), phrases(&["fix this bug"])),
            ],
            ..Semantics::default()
        }
    }

    #[test]
    fn the_nearest_route_is_meant_if_it_is_near_enough() {
        let semantics = semantics();
        let vectors = [vec![1.0, 0.0, 0.0], vec![0.7, 0.7, 0.0], vec![0.0, 0.0, 2.0]];
        let vectors = Vectors::of(&semantics, &vectors).expect("one for each phrase");
        let near = |vector: &[f64]| semantics.nearest(&vectors, vector).expect("vectors").route;
        assert_eq!(near(&[0.9, 0.1, 0.0]).as_deref(), Some("refunds"));
        assert_eq!(near(&[0.1, 0.0, 9.0]).as_deref(), Some("code"));
        assert_eq!(near(&[-1.0, -1.0, 0.5]), None, "nothing is near");
        assert_eq!(near(&[1.0, 0.0]), None, "another model's");
        assert_eq!(Vectors::of(&semantics, &[vec![1.0]]), None, "too few");
    }

    #[test]
    fn other_phrases_have_another_fingerprint() {
        let (one, mut other) = (semantics(), semantics());
        assert_eq!(one.fingerprint(), other.fingerprint());
        other.least_similarity = 0.5;
        assert_eq!(one.fingerprint(), other.fingerprint(), "their vectors are the same");
        other.routes[1].1[0].push('!');
        assert_ne!(one.fingerprint(), other.fingerprint());
    }

    proptest! {
        #[test]
        fn a_vector_is_nearest_to_itself(vector in proptest::collection::vec(-1.0..1.0_f64, 8)) {
            prop_assume!(vector.iter().any(|number| number.abs() > 0.01));
            prop_assert!(similarity(&direction(&vector), &direction(&vector)) > 0.999);
            let opposite: Vec<f64> = vector.iter().map(|number| -number).collect();
            prop_assert!(similarity(&direction(&vector), &direction(&opposite)) < -0.99);
        }
    }
}

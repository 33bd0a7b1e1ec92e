//! What calls mean: their vectors asked of the embedding model, where a condition wants to know, and those of the
//! configuration's phrases.

use std::rc::Rc;

use crate::failure::Failure;
use crate::http::Endpoint;
use crate::json::{Object, readable};
use crate::keys::{Grant, Key};
use crate::route::chance::hash;
use crate::route::demands::{Demands, MaxPrice};
use crate::route::meaning::{Semantics, Vectors};
use crate::route::reading::Reading;
use crate::units::{Millis, UnixMillis};

use super::call::{Call, Role, Stage};
use super::inner::Inner;
use super::wishes::Wishes;
use super::{CallId, Gateway, Step};

/// Under which key such calls are recorded, and what they cost is counted.
pub(super) const KEY: &str = "semantics";
/// Bytes of a call's words that are compared.
const MOST_WORDS: usize = 2_000;
/// How long the vectors of all phrases may take.
const PHRASES_WITHIN: Millis = Millis(20_000);
/// Calls whose meaning is remembered; each is some hundred bytes.
const MOST_KEPT: usize = 2_048;

#[derive(Default)]
struct Answer {
    data: Vec<Embedding>,
}
readable! { Answer { data } }

#[derive(Default)]
struct Embedding {
    embedding: Vec<f64>,
}
readable! { Embedding { embedding } }

impl Gateway {
    /// The step that asks for a call's vector, where some condition wants to know what it means and that is not known
    /// yet. Without the vectors of the phrases nothing can be compared, and the call is decided without.
    ///
    /// # Errors
    /// As [`Gateway::demands_of`].
    pub(super) fn ask_meaning(&mut self, call: &mut Call, now: UnixMillis) -> Result<Option<Step>, Failure> {
        let Some((inner, place)) = self.question(call) else { return Ok(None) };
        // Rules that hang on what it means cannot hold yet; all others say who may see its words.
        // Its vector is not at its key's expense.
        let demands = Demands { max_price: MaxPrice::default(), ..self.demands_of(call, now)? };
        call.inner = Some(Box::new(Inner { demands, ..inner }));
        call.stage = Stage::Wondering(place);
        Ok(Some(Step::Inner))
    }

    /// What the embedding model is asked of a call, and where the answer is remembered.
    fn question(&self, call: &mut Call) -> Option<(Inner, u64)> {
        let routing = &self.setup.config.routing;
        let semantics = routing.semantics.as_ref()?;
        if call.wondered || !self.compares || !routing.reads_meaning(&call.asked.model) {
            return None;
        }
        call.wondered = true;
        let reading = call.reading.insert(Box::new(Reading::of(&call.incoming.body)));
        let words = reading.last.as_str();
        let words = words.get(..words.floor_char_boundary(MOST_WORDS)).unwrap_or_default();
        if words.trim().is_empty() {
            return None;
        }
        let place = hash(words);
        if let Some(known) = self.meanings.get(&place) {
            call.meaning = Some(known.clone());
            return None;
        }
        Some((embedding(semantics, &[words], semantics.within), place))
    }

    /// The vector of a call came, or did not in time: now it is decided.
    pub(super) fn meant(
        &mut self,
        call: &mut Call,
        place: u64,
        answer: Option<&[u8]>,
        now: UnixMillis,
    ) -> Result<Step, Failure> {
        let semantics = self.setup.config.routing.semantics.as_ref();
        let vector = answer.and_then(vectors).and_then(|vectors| vectors.into_iter().next());
        let known = semantics.zip(self.vectors.as_ref()).zip(vector);
        call.meaning = known.and_then(|((semantics, vectors), vector)| semantics.nearest(vectors, &vector));
        if let Some(meaning) = &call.meaning {
            if self.meanings.len() >= MOST_KEPT {
                self.meanings.clear();
            }
            self.meanings.insert(place, meaning.clone());
        }
        self.first_target(call, now)
    }

    /// Whether the configuration has phrases whose vectors are not here.
    #[must_use]
    pub fn lacks_vectors(&self) -> bool {
        let fingerprint = self.setup.config.routing.semantics.as_ref().map(Semantics::fingerprint);
        fingerprint.is_some() && fingerprint.as_ref() != self.vectors.as_ref().map(|vectors| &vectors.fingerprint)
    }

    /// Begins the call that asks for the vectors of all phrases; `None` where there are none.
    pub fn begin_vectors(&mut self, now: UnixMillis) -> Option<(CallId, Step)> {
        let semantics = self.setup.config.routing.semantics.as_ref()?;
        let phrases: Vec<&str> = semantics.phrases().collect();
        let inner = embedding(semantics, &phrases, PHRASES_WITHIN);
        let wishes = Wishes { total: Some(PHRASES_WITHIN), ..Wishes::default() };
        Some(self.begin_for(inner, None, wishes, now))
    }

    /// Takes the vectors of all phrases out of the model's answer; they are to be kept for other isolates.
    pub fn learn(&mut self, answer: &[u8]) -> Option<&Vectors> {
        let semantics = self.setup.config.routing.semantics.as_ref()?;
        let vectors = Vectors::of(semantics, &vectors(answer)?)?;
        self.take_vectors(vectors);
        self.vectors.as_ref()
    }

    /// Takes vectors that another isolate has learnt.
    pub fn take_vectors(&mut self, vectors: Vectors) {
        self.vectors = Some(vectors);
        self.compare_anew();
    }

    /// Phrases or their vectors have changed.
    pub(super) fn compare_anew(&mut self) {
        self.meanings.clear();
        self.compares = self.setup.config.routing.semantics.is_some() && !self.lacks_vectors();
    }
}

fn vectors(answer: &[u8]) -> Option<Vec<Vec<f64>>> {
    let answer: Answer = crate::json::from_slice(answer).ok()?;
    Some(answer.data.into_iter().map(|one| one.embedding).collect())
}

fn embedding(semantics: &Semantics, texts: &[&str], within: Millis) -> Inner {
    let mut body = Vec::with_capacity(256);
    let mut object = Object::open(&mut body);
    object.string("model", &semantics.model);
    object.array("input", |input| {
        for text in texts {
            input.text(&crate::json::Text::escape(text));
        }
    });
    object.close();
    let key = Key { id: KEY.to_owned(), name: "vectors of semantic routes".to_owned(), ..Key::default() };
    Inner {
        role: Role::Embedding,
        grant: Rc::new(Grant::new(key)),
        model: semantics.model.clone(),
        endpoint: Endpoint::Embeddings,
        body,
        within,
        demands: Demands::default(),
    }
}

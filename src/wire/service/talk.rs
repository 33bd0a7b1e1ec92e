//! What the events of a talk say that is to be paid.
//!
//! Sources: <https://platform.openai.com/docs/api-reference/realtime-server-events>,
//! `azure.realtime.d2e1da3700`, `xai.realtime.14ec62fbea`.

use crate::chat::Usage;
use crate::json::Raw;
use crate::provider::Quirks;

use super::counts::Named;
use super::sniff::Counts;

/// What an event says.
#[derive(Clone, Debug, PartialEq)]
pub enum TalkEvent {
    /// From now on this model writes down what is heard.
    Transcriber(String),
    /// To write something down took this.
    Transcript(Usage),
    /// A turn took this.
    Turn(Usage),
}

/// Reads an event of a talk; `None` says nothing of what is to be paid.
#[must_use]
pub fn read_event(event: &[u8], quirks: &Quirks) -> Option<TalkEvent> {
    let all = Named::read(event)?;
    let session = all.inner(&["session"]);
    let input = session.inner(&["audio"]).inner(&["input"]);
    // Where it stood before talks were generally available, and where it stands since.
    let transcription = [input.inner(&["transcription"]), session.inner(&["input_audio_transcription"])];
    let named = transcription.iter().find_map(|told| told.raw("model").and_then(Raw::text));
    if let Some(model) = named {
        return Some(TalkEvent::Transcriber(model.decode().chars().take(200).collect()));
    }
    let mut counts = Counts::default();
    counts.take_object(&all, quirks);
    let usage = counts.usage?;
    let kind = all.raw("type").and_then(Raw::text).map(|kind| kind.decode().into_owned()).unwrap_or_default();
    Some(match kind.contains("input_audio_transcription") {
        true => TalkEvent::Transcript(usage),
        false => TalkEvent::Turn(usage),
    })
}

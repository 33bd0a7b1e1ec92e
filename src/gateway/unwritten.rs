//! Stored responses that the database has not got yet: this isolate answers from them, and sees to it that they are
//! written, or deleted where their caller wants that first.

use std::rc::Rc;

use crate::units::{Millis, UnixMillis};
use crate::wire::openai_responses::stored::item_ids;

use super::StoredWanted;

/// Answers that wait to be written, and their bytes; the oldest are given up for newer ones.
const MOST_WAITING: usize = 64;
const MOST_WAITING_BYTES: usize = 16 << 20;
/// How often one is tried to be written.
const MOST_TRIES: u8 = 3;
/// How long a write may take: longer than the database is waited for.
const WRITING: Millis = Millis(10_000);

/// An answer that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredResponse {
    /// `resp_…`
    pub id: String,
    /// The key that made the call.
    pub key_id: String,
    /// The team whose other keys may read it.
    pub team_id: Option<String>,
    /// When the call came.
    pub at: UnixMillis,
    /// When it is deleted.
    pub expires_at: UnixMillis,
    /// The response that it went on from.
    pub previous: Option<String>,
    /// Its own items, a JSON array.
    pub input: String,
    /// The response object as the caller got it.
    pub response: String,
}

/// One that the database has not got yet.
#[derive(Debug)]
struct Waiting {
    response: Rc<StoredResponse>,
    /// Somebody is writing it, and nobody else has to before this.
    writing_until: UnixMillis,
    is_deleted: bool,
    tries: u8,
}

/// Answers that the database has not got yet.
#[derive(Debug, Default)]
pub struct Unwritten(Vec<Waiting>);

impl Unwritten {
    pub(super) fn push(&mut self, response: StoredResponse) {
        self.0.push(Waiting { response: Rc::new(response), writing_until: UnixMillis(0), is_deleted: false, tries: 0 });
        let bytes = |waiting: &Waiting| waiting.response.input.len() + waiting.response.response.len();
        while self.0.len() > MOST_WAITING || self.0.iter().map(bytes).sum::<usize>() > MOST_WAITING_BYTES {
            self.0.remove(0);
        }
    }

    pub(super) fn find<'w>(&'w self, id: &str, wanted: &'w StoredWanted) -> Option<&'w Rc<StoredResponse>> {
        self.readable_by(wanted).find(|response| response.id == id)
    }

    /// Those with items that are wanted, the newest first; what they hold is wanted no longer.
    pub(super) fn holders(&self, wanted: &mut StoredWanted) -> Vec<StoredResponse> {
        let mut items = std::mem::take(&mut wanted.items);
        let mut holders = Vec::new();
        for response in self.readable_by(wanted).rev() {
            let missing = items.len();
            if missing == 0 {
                break;
            }
            let held: Vec<String> = item_ids(&response.response).collect();
            items.retain(|item| !held.contains(item));
            if items.len() < missing {
                holders.push(StoredResponse::clone(response));
            }
        }
        wanted.items = items;
        holders
    }

    fn readable_by<'w>(&'w self, wanted: &'w StoredWanted) -> impl DoubleEndedIterator<Item = &'w Rc<StoredResponse>> {
        let left = self.0.iter().filter(|waiting| !waiting.is_deleted);
        left.map(|waiting| &waiting.response).filter(|response| {
            let shared = wanted.team_id.is_some() && response.team_id == wanted.team_id;
            response.key_id == wanted.key_id || shared
        })
    }

    /// Takes it out, or sees to it that it is deleted once it is written. Whether it was there.
    pub(super) fn delete(&mut self, wanted: &StoredWanted) -> bool {
        let found = self.find(&wanted.id, wanted).is_some();
        if found {
            self.0.retain_mut(|waiting| {
                let is_it = waiting.response.id == wanted.id;
                waiting.is_deleted |= is_it;
                !is_it || waiting.writing_until > UnixMillis(0)
            });
        }
        found
    }

    /// Those that nobody is writing; the caller is now. Whoever is cut off while writing does not come back; one that was
    /// tried too often that way is given up.
    pub fn begin(&mut self, now: UnixMillis) -> Vec<Rc<StoredResponse>> {
        self.0.retain(|waiting| waiting.writing_until > now || waiting.tries < MOST_TRIES);
        let idle = self.0.iter_mut().filter(|waiting| waiting.writing_until <= now);
        idle.map(|waiting| {
            waiting.writing_until = now.plus(WRITING);
            waiting.tries += 1;
            waiting.response.clone()
        })
        .collect()
    }

    /// They were written, or could not be: gives those that were deleted in the meantime. One that fails too often is
    /// given up.
    pub fn end(&mut self, responses: &[Rc<StoredResponse>], is_written: bool) -> Vec<Rc<StoredResponse>> {
        let mut deleted = Vec::new();
        self.0.retain_mut(|waiting| {
            if !responses.iter().any(|response| response.id == waiting.response.id) {
                return true;
            }
            waiting.writing_until = UnixMillis(0);
            if waiting.is_deleted && is_written {
                deleted.push(waiting.response.clone());
            }
            !is_written && !waiting.is_deleted && waiting.tries < MOST_TRIES
        });
        deleted
    }
}

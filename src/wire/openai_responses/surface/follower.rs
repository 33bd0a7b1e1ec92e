//! What a caller has read of a stream whose events went on as they came, so that another stream can go on behind them.
//!
//! Its last event tells everything again, under the ids and numbers that the caller knows: so it is kept as it was told,
//! also what nobody here models.

use crate::chat::{BlockKind, Event};
use crate::json::{Array, Object, Raw, SyntaxError, Text, readable};
use crate::wire::Naming;
use crate::wire::openai_chat::types::{count, present, text};

use super::reply::{Head, Item};
use super::writer::{Behind, Writer, write_event};

/// More items than this are no answer but an attack on memory.
const MOST_ITEMS: usize = 1024;
/// Bytes of items that are kept.
const MOST_KEPT: usize = 1 << 20;

/// Follows one stream.
#[derive(Debug, Default)]
pub(super) struct Follower {
    head: Option<Head>,
    /// The number of the next event.
    sequence: u64,
    /// Items by their number.
    items: Vec<Followed>,
    /// The hub's block that has not ended.
    block: Option<(u32, BlockKind)>,
    /// Bytes kept.
    kept: usize,
    /// It is numbered as no answer is, or there is too much of it.
    lost: bool,
}

/// An item that another stream began.
#[derive(Debug)]
pub(super) struct Followed {
    pub id: String,
    /// As it was added; once it is `done`, as it was told whole.
    told: Raw<'static>,
    done: bool,
    parts: Vec<Part>,
}

/// A part of an item.
#[derive(Debug)]
struct Part {
    list: List,
    text: Text<'static>,
    annotations: Vec<Raw<'static>>,
    /// Its text was told whole.
    is_said: bool,
    /// As it was told whole.
    whole: Option<Raw<'static>>,
}

/// Which list of its item a part stands in, and what parts of it are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    Words,
    Summary,
    /// A thought in the model's own words.
    Thought,
}

/// An event, with every member that any kind has that matters here.
#[derive(Default)]
struct Sent<'a> {
    kind: Text<'a>,
    sequence_number: Option<u64>,
    output_index: Option<u64>,
    content_index: Option<u64>,
    summary_index: Option<u64>,
    item_id: Option<Text<'a>>,
    delta: Option<Text<'a>>,
    item: Option<Raw<'a>>,
    part: Option<Raw<'a>>,
    annotation: Option<Raw<'a>>,
    response: Option<Raw<'a>>,
}
readable! { Sent<'a> {
    #[required] kind = "type", sequence_number: count, output_index: count, content_index: count, summary_index: count,
    item_id: text, delta: text, item: present, part: present, annotation: present, response: present,
} }

impl Follower {
    /// Whether it knows where the caller is.
    pub fn follows(&self) -> bool {
        !self.lost
    }

    /// What the stream says, in the hub's words.
    pub fn note(&mut self, event: &Event<'_>) {
        match event {
            Event::BlockStart { choice: 0, block, kind } => self.block = Some((*block, *kind)),
            Event::BlockEnd { choice: 0, block } => self.block = self.block.filter(|(open, _)| open != block),
            _ => {}
        }
    }

    /// The caller gets an event with this data.
    pub fn sent(&mut self, data: &[u8], naming: &Naming) {
        if self.lost {
            return;
        }
        let Ok(event) = crate::json::from_slice::<Sent<'_>>(data) else { return };
        self.sequence = event.sequence_number.unwrap_or(self.sequence).saturating_add(1);
        if let (None, Some(response)) = (&self.head, &event.response) {
            self.head = Some(head(response, naming));
        }
        if event.output_index.is_some() && self.take(&event).is_none() || self.kept > MOST_KEPT {
            *self = Follower { lost: true, ..Follower::default() };
        }
    }

    /// Takes in an event about an item; `None` where its numbers make no sense.
    fn take(&mut self, event: &Sent<'_>) -> Option<()> {
        let kind = event.kind.escaped();
        let begins = kind == "response.output_item.added";
        let item = self.item(event, begins)?;
        let mut kept = 0;
        match kind {
            "response.output_item.done" => {
                item.told = line(event.item.as_ref()?);
                item.done = true;
                kept = item.told.get().len();
                item.parts.clear();
            }
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                item.part(event, list_of(event))?;
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                let part = item.part(event, list_of(event))?;
                part.whole = event.part.as_ref().map(line);
                kept = part.whole.as_ref().map_or(0, |whole| whole.get().len());
            }
            "response.output_text.annotation.added" => {
                let annotation = line(event.annotation.as_ref()?);
                kept = annotation.get().len();
                item.part(event, List::Words)?.annotations.push(annotation);
            }
            _ => {
                if let Some((list, ends)) = said_in(kind) {
                    let part = item.part(event, list)?;
                    part.is_said |= ends;
                    if let Some(delta) = &event.delta {
                        part.text.push(delta);
                        kept = delta.escaped().len();
                    }
                }
            }
        }
        self.kept = self.kept.saturating_add(kept);
        Some(())
    }

    /// The item that an event is about, which it may begin.
    fn item(&mut self, event: &Sent<'_>, begins: bool) -> Option<&mut Followed> {
        let number = usize::try_from(event.output_index?).ok()?;
        if number == self.items.len() && number < MOST_ITEMS {
            let id = event.item.as_ref().and_then(|item| item.member("id")?.into_text());
            let id = id.or_else(|| event.item_id.clone()).unwrap_or_default().decode().into_owned();
            let told = event.item.as_ref().map_or_else(|| message(&id), line);
            self.kept = self.kept.saturating_add(told.get().len());
            self.items.push(Followed { id, told, done: false, parts: Vec::new() });
        } else if begins {
            return None;
        }
        self.items.get_mut(number)
    }

    /// What goes on behind all that: an open text in its place, and everything else that is open is ended first.
    pub fn into_writer(self, naming: Naming) -> Writer {
        let Follower { head, mut sequence, items, block, .. } = self;
        let head = head.unwrap_or_else(|| Head::of(&Text::EMPTY, None, &naming));
        let (mut out, mut all) = (Vec::new(), Vec::new());
        let block = block.filter(|(_, kind)| *kind == BlockKind::Text).map(|(block, _)| block);
        let last = items.len().saturating_sub(1);
        let mut open = None;
        for (number, mut item) in items.into_iter().enumerate() {
            if block.is_some() && number == last && item.is_speaking() {
                open = Some(number);
                all.push(Item::Begun(Box::new(item)));
                continue;
            }
            if !item.done {
                item.end(number, &mut sequence, &mut out);
            }
            all.push(Item::Told(item.told));
        }
        let behind = Behind { head, sequence, items: all, open: block.map(|block| (block, open)), out };
        Writer::behind(naming, behind)
    }
}

impl Followed {
    /// The part that an event is about, which it may begin.
    fn part(&mut self, event: &Sent<'_>, list: List) -> Option<&mut Part> {
        let number = match list {
            List::Summary => event.summary_index,
            List::Words | List::Thought => event.content_index,
        };
        let number = usize::try_from(number.unwrap_or(0)).ok()?;
        let in_list = |part: &Part| (part.list == List::Summary) == (list == List::Summary);
        let known = self.parts.iter().filter(|part| in_list(part)).count();
        if number == known && self.parts.len() < MOST_ITEMS {
            let (text, annotations) = (Text::EMPTY, Vec::new());
            self.parts.push(Part { list, text, annotations, is_said: false, whole: None });
        }
        self.parts.iter_mut().filter(|part| in_list(part)).nth(number)
    }

    /// It is a text that has not come to its end.
    fn is_speaking(&self) -> bool {
        let last = self.parts.last();
        !self.done && last.is_some_and(|part| part.list == List::Words && !part.is_said && part.whole.is_none())
    }

    /// The number of its last part in the list of that.
    pub fn number(&self) -> usize {
        let Some(last) = self.parts.last() else { return 0 };
        let is_summary = last.list == List::Summary;
        self.parts.iter().filter(|part| (part.list == List::Summary) == is_summary).count().saturating_sub(1)
    }

    /// More words of its last part.
    pub fn say(&mut self, text: &Text<'_>) {
        if let Some(part) = self.parts.last_mut() {
            part.text.push(text);
        }
    }

    /// The text of its last part.
    pub fn text(&self) -> Text<'static> {
        self.parts.last().map(|part| part.text.clone()).unwrap_or_default()
    }

    /// Writes its last part.
    pub fn write_part(&self, object: &mut Object<'_>) {
        if let Some(part) = self.parts.last() {
            part.write(object);
        }
    }

    /// Writes its members as they were told, with what has been said of it since.
    pub fn write(&self, status: &str, object: &mut Object<'_>) {
        each_member(&self.told, |key, value| match key {
            "content" | "summary" => {}
            "status" => {
                object.string("status", status);
            }
            _ => {
                object.raw(key, value);
            }
        });
        for (list, is_summary) in [("content", false), ("summary", true)] {
            let told = self.told.borrowed().member(list).is_some();
            if told || self.parts.iter().any(|part| (part.list == List::Summary) == is_summary) {
                object.array(list, |array| self.write_list(is_summary, array));
            }
        }
    }

    fn write_list(&self, is_summary: bool, array: &mut Array<'_>) {
        for part in self.parts.iter().filter(|part| (part.list == List::Summary) == is_summary) {
            match &part.whole {
                Some(whole) => array.raw(whole),
                None => array.object(|object| part.write(object)),
            };
        }
    }

    /// Ends it where it is: it is not gone on with.
    fn end(&mut self, number: usize, sequence: &mut u64, out: &mut Vec<u8>) {
        let mut numbers = [0, 0];
        for part in &mut self.parts {
            let Some(at) = numbers.get_mut(usize::from(part.list == List::Summary)) else { continue };
            let place = Place { id: &self.id, item: number, part: *at };
            *at += 1;
            part.end(&place, sequence, out);
        }
        let mut whole = Vec::new();
        let mut object = Object::open(&mut whole);
        self.write("incomplete", &mut object);
        object.close();
        write_event(
            "response.output_item.done",
            sequence,
            |event| event.number("output_index", number).key("item").extend_from_slice(&whole),
            out,
        );
        self.told = Raw::written(whole);
    }
}

/// Where a part stands.
struct Place<'p> {
    id: &'p str,
    item: usize,
    part: usize,
}

impl Part {
    fn write(&self, object: &mut Object<'_>) {
        let kind = match self.list {
            List::Words => "output_text",
            List::Summary => "summary_text",
            List::Thought => "reasoning_text",
        };
        object.string("type", kind).text("text", &self.text);
        if self.list == List::Words {
            object.array("annotations", |list| {
                for annotation in &self.annotations {
                    list.raw(annotation);
                }
            });
            object.array("logprobs", |_| {});
        }
    }

    /// Tells it whole, as far as that was not done.
    fn end(&mut self, place: &Place<'_>, sequence: &mut u64, out: &mut Vec<u8>) {
        let (said, done, index) = match self.list {
            List::Words => ("response.output_text.done", "response.content_part.done", "content_index"),
            List::Summary => {
                ("response.reasoning_summary_text.done", "response.reasoning_summary_part.done", "summary_index")
            }
            List::Thought => ("response.reasoning_text.done", "response.content_part.done", "content_index"),
        };
        let head = |event: &mut Object<'_>| {
            event.string("item_id", place.id).number("output_index", place.item).number(index, place.part);
        };
        if !self.is_said && self.whole.is_none() {
            let tell = |event: &mut Object<'_>| {
                head(event);
                event.text("text", &self.text);
                if self.list == List::Words {
                    event.array("logprobs", |_| {});
                }
            };
            write_event(said, sequence, tell, out);
        }
        if self.whole.is_none() {
            let tell = |event: &mut Object<'_>| {
                head(event);
                event.object("part", |part| self.write(part));
            };
            write_event(done, sequence, tell, out);
        }
    }
}

/// Writes the members of an item as they were told.
pub(super) fn repeat(told: &Raw<'_>, object: &mut Object<'_>) {
    each_member(told, |key, value| {
        object.raw(key, value);
    });
}

/// Gives `each` the keys as they are written.
fn each_member(object: &Raw<'_>, mut each: impl FnMut(&str, &Raw<'_>)) {
    let read = object.borrowed();
    // What is no object has none.
    let _ = read.cursor().members(|key, cursor| {
        each(Text::escape(&key).escaped(), &cursor.value()?);
        Ok::<(), SyntaxError>(())
    });
}

/// What the response is called that an event tells of.
fn head(response: &Raw<'_>, naming: &Naming) -> Head {
    let text = |key: &str| response.member(key).and_then(Raw::into_text);
    let created = response.member("created_at").and_then(|at| at.number()).map(|seconds| seconds as i64);
    let mut head = Head::of(&text("model").unwrap_or_default(), created, naming);
    if let Some(id) = text("id").filter(|id| !id.is_empty()) {
        head.id = id.decode().into_owned();
    }
    head
}

/// The list that the part of an event stands in.
fn list_of(event: &Sent<'_>) -> List {
    let is = |word: &str| {
        event.part.as_ref().and_then(|part| part.member("type")?.into_text()).is_some_and(|kind| kind.is(word))
    };
    match event.summary_index {
        Some(_) => List::Summary,
        None if is("reasoning_text") => List::Thought,
        None => List::Words,
    }
}

/// The list in which an event says something, and whether it says it whole.
fn said_in(kind: &str) -> Option<(List, bool)> {
    Some(match kind {
        "response.output_text.delta" => (List::Words, false),
        "response.output_text.done" => (List::Words, true),
        "response.reasoning_summary_text.delta" => (List::Summary, false),
        "response.reasoning_summary_text.done" => (List::Summary, true),
        "response.reasoning_text.delta" => (List::Thought, false),
        "response.reasoning_text.done" => (List::Thought, true),
        _ => return None,
    })
}

/// A message of which only words came.
fn message(id: &str) -> Raw<'static> {
    let mut out = Vec::new();
    let mut item = Object::open(&mut out);
    item.string("id", id).string("type", "message").string("status", "in_progress").string("role", "assistant");
    item.array("content", |_| {});
    item.close();
    Raw::written(out)
}

/// On one line, as an event's data is.
fn line(raw: &Raw<'_>) -> Raw<'static> {
    Raw::parse_owned(raw.compact().into_owned()).unwrap_or(Raw::EMPTY_OBJECT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_told_again_whatever_its_members_are_called() {
        let told = r#"{"id":"i","a\"b\\c":1}"#;
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        repeat(&Raw::parse(told).expect("JSON"), &mut object);
        object.close();
        assert_eq!(String::from_utf8_lossy(&out), told);
    }
}

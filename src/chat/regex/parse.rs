//! From the text of a regular expression to its parts.

use super::{BadRegex, Class, Place, Set};

/// Groups within groups.
const DEEPEST: usize = 32;
/// No repetition counts further.
const MOST_TIMES: u32 = 1_000;

/// A part of an expression.
#[derive(Clone, Debug)]
pub(super) enum Part {
    One(Set),
    At(Place),
    Sequence(Vec<Part>),
    Either(Box<Part>, Box<Part>),
    Repeat { part: Box<Part>, least: u32, most: Option<u32> },
}

/// Reads a whole expression.
pub(super) fn parse(text: &str) -> Result<Part, BadRegex> {
    let mut parser = Parser { rest: text, depth: 0 };
    let part = parser.either()?;
    if parser.rest.is_empty() { Ok(part) } else { Err(BadRegex("has a `)` without its `(`")) }
}

struct Parser<'t> {
    rest: &'t str,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn take(&mut self, text: &str) -> bool {
        let Some(rest) = self.rest.strip_prefix(text) else { return false };
        self.rest = rest;
        true
    }

    fn either(&mut self) -> Result<Part, BadRegex> {
        let mut part = self.sequence()?;
        while self.take("|") {
            part = Part::Either(Box::new(part), Box::new(self.sequence()?));
        }
        Ok(part)
    }

    fn sequence(&mut self) -> Result<Part, BadRegex> {
        let mut parts = Vec::new();
        while let Some(next) = self.peek().filter(|next| !matches!(next, '|' | ')')) {
            if matches!(next, '*' | '+' | '?') {
                return Err(BadRegex("has nothing to repeat before `*`, `+` or `?`"));
            }
            let part = self.one()?;
            parts.push(self.repeated(part)?);
        }
        Ok(Part::Sequence(parts))
    }

    fn repeated(&mut self, part: Part) -> Result<Part, BadRegex> {
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.times()? {
                Some(times) => times,
                // Not of the form of a count: the brace stands for itself.
                None => return Ok(part),
            },
            _ => return Ok(part),
        };
        if self.peek().is_some_and(|next| matches!(next, '*' | '+' | '?')) {
            self.next();
        }
        // Whether it takes as much or as little as it can makes no difference for whether it matches.
        self.take("?");
        Ok(Part::Repeat { part: Box::new(part), least, most })
    }

    /// Reads `{2}`, `{2,}` or `{2,5}`.
    fn times(&mut self) -> Result<Option<(u32, Option<u32>)>, BadRegex> {
        let Some((inside, rest)) = self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            return Ok(None);
        };
        let (least, most) = inside.split_once(',').map_or((inside, Some(inside)), |(least, most)| (least, Some(most)));
        let Ok(least) = least.parse::<u32>() else { return Ok(None) };
        let most = match most.filter(|most| !most.is_empty()).map(str::parse::<u32>) {
            None => None,
            Some(Ok(most)) => Some(most),
            Some(Err(_)) => return Ok(None),
        };
        if least > MOST_TIMES || most.is_some_and(|most| most > MOST_TIMES) {
            return Err(BadRegex("repeats something more than 1,000 times"));
        }
        if most.is_some_and(|most| most < least) {
            return Err(BadRegex("repeats something at least more than at most"));
        }
        self.rest = rest;
        Ok(Some((least, most)))
    }

    fn one(&mut self) -> Result<Part, BadRegex> {
        Ok(match self.next() {
            Some('(') => return self.group(),
            Some('[') => Part::One(self.set()?),
            Some('.') => Part::One(Set { classes: vec![(Class::LineEnd, true)], ..Set::default() }),
            Some('^') => Part::At(Place::Start),
            Some('$') => Part::At(Place::End),
            Some('\\') => match self.peek() {
                Some('b') => self.place(Place::WordEdge),
                Some('B') => self.place(Place::NoWordEdge),
                _ => {
                    let mut set = Set::default();
                    if let Some(character) = self.escape(&mut set)? {
                        set.ranges.push((character, character));
                    }
                    Part::One(set)
                }
            },
            Some(character) => Part::One(Set { ranges: vec![(character, character)], ..Set::default() }),
            None => Part::Sequence(Vec::new()),
        })
    }

    fn place(&mut self, place: Place) -> Part {
        self.next();
        Part::At(place)
    }

    fn group(&mut self) -> Result<Part, BadRegex> {
        if !self.take("?:") && self.peek() == Some('?') {
            return Err(BadRegex(
                "has a group that begins with `(?`; looking around, names and flags are not known here",
            ));
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(BadRegex("has groups within groups more than 32 deep"));
        }
        let part = self.either()?;
        self.depth -= 1;
        if self.take(")") { Ok(part) } else { Err(BadRegex("has a `(` without its `)`")) }
    }

    /// Reads what follows a backslash: a class goes into `set`, a character is given.
    fn escape(&mut self, set: &mut Set) -> Result<Option<char>, BadRegex> {
        let class = |class, negated| (class, negated);
        let found = match self.next() {
            Some('d') => class(Class::Digit, false),
            Some('D') => class(Class::Digit, true),
            Some('w') => class(Class::Word, false),
            Some('W') => class(Class::Word, true),
            Some('s') => class(Class::Space, false),
            Some('S') => class(Class::Space, true),
            Some('n') => return Ok(Some('\n')),
            Some('t') => return Ok(Some('\t')),
            Some('r') => return Ok(Some('\r')),
            Some('0'..='9') => return Err(BadRegex("has a back-reference, which is not known here")),
            Some(letter) if letter.is_ascii_alphabetic() => {
                return Err(BadRegex("has a letter behind a backslash that means nothing here"));
            }
            Some(sign) => return Ok(Some(sign)),
            None => return Err(BadRegex("ends with a backslash")),
        };
        set.classes.push(found);
        Ok(None)
    }

    /// The rest of `[…]`.
    fn set(&mut self) -> Result<Set, BadRegex> {
        let mut set = Set { negated: self.take("^"), ..Set::default() };
        let mut is_first = true;
        loop {
            let from = match self.next() {
                None => return Err(BadRegex("has a `[` without its `]`")),
                Some(']') if !is_first => return Ok(set),
                Some('\\') => self.escape(&mut set)?,
                Some(character) => Some(character),
            };
            is_first = false;
            let Some(from) = from else { continue };
            // A dash before the end of the set stands for itself.
            let to = if self.rest.starts_with('-') && !self.rest.starts_with("-]") {
                self.next();
                match self.next() {
                    Some('\\') => self.escape(&mut set)?,
                    other => other,
                }
            } else {
                Some(from)
            };
            match to {
                Some(to) if to >= from => set.ranges.push((from, to)),
                _ => return Err(BadRegex("has a range in `[…]` that does not ascend")),
            }
        }
    }
}

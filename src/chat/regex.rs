//! Regular expressions, matched in time linear in the text.
//!
//! They come from an operator and are held against what models say, so neither may make the other slow: an expression
//! becomes a small program ([`Step`]), and all its states go through the text side by side, one character at a time.
//! That rules out what only backtracking can do: back-references and looking around are refused by name.
//!
//! Known are `.`, `[a-z]`, `[^a-z]`, `\d \w \s` and their opposites, `\b`, `^` and `$` (the ends of the whole text),
//! `|`, groups, `* + ? {2} {2,} {2,5}` (a `?` behind them changes nothing here), `\n \t \r`, and `(?i)` at the beginning
//! for any case. `.` is any character but a line's end.

mod parse;

use std::fmt;

use super::letters::{capital, small};

/// Bytes of an expression.
const LONGEST: usize = 2_000;
/// Steps of one program; a repetition is written out, so that `{1,100}` counts a hundred times.
const MOST_STEPS: usize = 2_000;
/// Bytes of a text that are looked at.
const MOST_TEXT: usize = 64 << 10;

/// A regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regex {
    steps: Vec<Step>,
    any_case: bool,
}

/// What a state of the program waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// One character of this set.
    One(Set),
    /// Nothing: it is both of these states.
    Fork(usize, usize),
    /// Nothing, where this holds of the place.
    At(Place),
    /// It has matched.
    Done,
}

/// A place between two characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Start,
    End,
    WordEdge,
    NoWordEdge,
}

/// A set of characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Set {
    ranges: Vec<(char, char)>,
    classes: Vec<(Class, bool)>,
    negated: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Digit,
    Word,
    Space,
    LineEnd,
}

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRegex(&'static str);

impl fmt::Display for BadRegex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl Regex {
    /// Reads an expression.
    ///
    /// ```
    /// use latchkey::chat::Regex;
    /// let date = Regex::new(r"^\d{4}-\d{2}-\d{2}$").expect("an expression");
    /// assert!(date.matches("2026-11-21") && !date.matches("on 2026-11-21"));
    /// assert!(Regex::new(r"(a)\1").is_err());
    /// ```
    ///
    /// # Errors
    /// Where it is none, is too large, or asks for what is not known here.
    pub fn new(text: &str) -> Result<Regex, BadRegex> {
        if text.len() > LONGEST {
            return Err(BadRegex("is longer than 2,000 bytes"));
        }
        let (any_case, text) = text.strip_prefix("(?i)").map_or((false, text), |rest| (true, rest));
        let mut steps = Vec::new();
        write(&parse::parse(text)?, &mut steps)?;
        steps.push(Step::Done);
        Ok(Regex { steps, any_case })
    }

    /// Whether it matches anywhere in `text`, of which the first 64 KiB are looked at.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let text = text.get(..text.floor_char_boundary(MOST_TEXT)).unwrap_or_default();
        let (mut now, mut next) = (States::new(self.steps.len()), States::new(self.steps.len()));
        let mut before = None;
        let mut characters = text.chars();
        loop {
            let here = characters.next();
            if self.enter(&mut now, 0, before, here) {
                return true;
            }
            let Some(character) = here else { return false };
            let after = characters.clone().next();
            next.clear();
            for state in &now.list {
                if let Some(Step::One(set)) = self.steps.get(*state)
                    && self.holds(set, character)
                    && self.enter(&mut next, state + 1, here, after)
                {
                    return true;
                }
            }
            std::mem::swap(&mut now, &mut next);
            before = here;
        }
    }

    /// Adds a state and those that it is without another character; whether the last is among them.
    fn enter(&self, states: &mut States, first: usize, before: Option<char>, here: Option<char>) -> bool {
        let mut open = vec![first];
        while let Some(state) = open.pop() {
            if !states.add(state) {
                continue;
            }
            match self.steps.get(state) {
                Some(Step::Fork(one, other)) => open.extend([*other, *one]),
                Some(Step::At(place)) if place.is(before, here) => open.push(state + 1),
                Some(Step::Done) => return true,
                _ => {}
            }
        }
        false
    }

    fn holds(&self, set: &Set, character: char) -> bool {
        if !self.any_case {
            return set.holds(character);
        }
        let mut cases = [character, small(character), capital(character)].into_iter();
        if set.negated { cases.all(|one| set.holds(one)) } else { cases.any(|one| set.holds(one)) }
    }
}

/// The states that a match can be in, each once.
struct States {
    list: Vec<usize>,
    there: Vec<bool>,
}

impl States {
    fn new(steps: usize) -> States {
        States { list: Vec::with_capacity(steps), there: vec![false; steps] }
    }

    fn add(&mut self, state: usize) -> bool {
        let Some(there) = self.there.get_mut(state).filter(|there| !**there) else { return false };
        *there = true;
        self.list.push(state);
        true
    }

    fn clear(&mut self) {
        self.list.clear();
        self.there.fill(false);
    }
}

impl Place {
    fn is(self, before: Option<char>, here: Option<char>) -> bool {
        let word = |one: Option<char>| one.is_some_and(|one| Class::Word.holds(one));
        match self {
            Place::Start => before.is_none(),
            Place::End => here.is_none(),
            Place::WordEdge => word(before) != word(here),
            Place::NoWordEdge => word(before) == word(here),
        }
    }
}

impl Set {
    fn holds(&self, character: char) -> bool {
        let within = self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&character));
        let classed = || self.classes.iter().any(|(class, negated)| class.holds(character) != *negated);
        (within || classed()) != self.negated
    }
}

impl Class {
    fn holds(self, character: char) -> bool {
        match self {
            Class::Digit => character.is_ascii_digit(),
            Class::Word => character.is_alphanumeric() || character == '_',
            Class::Space => character.is_whitespace(),
            Class::LineEnd => matches!(character, '\n' | '\r'),
        }
    }
}

/// Writes the steps of a part of an expression.
fn write(part: &parse::Part, steps: &mut Vec<Step>) -> Result<(), BadRegex> {
    if steps.len() > MOST_STEPS {
        return Err(BadRegex("is too large: it has more than 2,000 steps once repetitions are written out"));
    }
    match part {
        parse::Part::One(set) => steps.push(Step::One(set.clone())),
        parse::Part::At(place) => steps.push(Step::At(*place)),
        parse::Part::Sequence(parts) => parts.iter().try_for_each(|part| write(part, steps))?,
        parse::Part::Either(one, other) => {
            let fork = steps.len();
            steps.push(Step::Fork(fork + 1, fork + 1));
            write(one, steps)?;
            let end = steps.len();
            // Two equal ways are one way on; where it leads is known once the other is written.
            steps.push(Step::Fork(end, end));
            set_fork(steps, fork, fork + 1, end + 1);
            write(other, steps)?;
            let after = steps.len();
            set_fork(steps, end, after, after);
        }
        parse::Part::Repeat { part, least, most } => {
            for _ in 0..*least {
                write(part, steps)?;
            }
            match most {
                None => {
                    let fork = steps.len();
                    steps.push(Step::Fork(fork + 1, fork + 1));
                    write(part, steps)?;
                    steps.push(Step::Fork(fork, fork));
                    let after = steps.len();
                    set_fork(steps, fork, fork + 1, after);
                }
                Some(most) => {
                    let mut forks = Vec::new();
                    for _ in *least..*most {
                        forks.push(steps.len());
                        steps.push(Step::Fork(0, 0));
                        write(part, steps)?;
                    }
                    let after = steps.len();
                    forks.iter().for_each(|fork| set_fork(steps, *fork, fork + 1, after));
                }
            }
        }
    }
    Ok(())
}

fn set_fork(steps: &mut [Step], at: usize, one: usize, other: usize) {
    if let Some(step) = steps.get_mut(at) {
        *step = Step::Fork(one, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(expression: &str, text: &str) -> bool {
        Regex::new(expression).unwrap_or_else(|error| panic!("{expression}: {error}")).matches(text)
    }

    #[test]
    fn expressions_mean_what_they_mean_everywhere() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("abc", &["abc", "xxabcxx"], &["ab", "ABC", ""]),
            ("^abc$", &["abc"], &["xabc", "abcx", "abc\n"]),
            ("(?i)yes|no", &["YES", "oh No!"], &["maybe"]),
            (r"^\d{4}-\d{2}$", &["2026-11"], &["2026-1", "20266-11", "٢٠٢٦-١١"]),
            ("^a{2,3}$", &["aa", "aaa"], &["a", "aaaa"]),
            ("^a{2,}$", &["aa", "aaaaaa"], &["a"]),
            ("^(ab|c)*d?$", &["", "ababc", "cd"], &["abd d", "a"]),
            (r"^[^\s,]+(, [^\s,]+)*$", &["a", "a, b, c"], &["", "a,b", "a, "]),
            (r"^[a-f\d]+$", &["deadbeef01"], &["xyz"]),
            (r"^[\]\-x]+$", &["]-x"], &["a"]),
            (r"\bcat\b", &["a cat.", "cat"], &["concat", "cats"]),
            (r"^\$\d+\.\d\d$", &["$3.50"], &["3.50"]),
            ("^.+?$", &["one line"], &["", "two\nlines"]),
            ("^(?:a|b)(c)$", &["ac", "bc"], &["abc"]),
            ("^(a*)*$", &["", "aaaa"], &["b"]),
            ("^ä.$", &["äß"], &["ä"]),
            ("^[^a]$", &["b"], &["a"]),
            ("(?i)^[^a]$", &["b"], &["a", "A"]),
            ("^a{0}b{x}$", &["b{x}"], &["ab{x}"]),
        ];
        for (expression, kept, broken) in cases {
            assert!(kept.iter().all(|text| matches(expression, text)), "{expression} of {kept:?}");
            assert!(!broken.iter().any(|text| matches(expression, text)), "{expression} of {broken:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (expression, why) in [
            ("(a", "`)`"),
            ("a)", "`)`"),
            ("*a", "repeat"),
            ("[a", "`]`"),
            ("[z-a]", "range"),
            (r"(a)\1", "back-reference"),
            ("(?=a)", "looking around"),
            ("a{5,2}", "more than at most"),
            ("(a{1000}){1000}", "2,000 steps"),
            ("a\\", "backslash"),
        ] {
            let error = Regex::new(expression).expect_err(expression).to_string();
            assert!(error.contains(why), "{expression}: {error}");
        }
        assert!(Regex::new(&"(".repeat(10_000)).is_err(), "depth is bounded");
    }

    #[test]
    fn what_would_backtrack_for_ever_does_not() {
        assert!(!matches("^(a|aa)+$", &("a".repeat(5_000) + "b")));
        assert!(!matches("^(a*)*b$", &"a".repeat(5_000)));
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_any_text_is_matched(expression in ".{0,40}", text in ".{0,80}") {
            if let Ok(regex) = Regex::new(&expression) {
                let _ = regex.matches(&text);
            }
        }

        #[test]
        fn plain_letters_are_found_where_they_stand(before in "[a-z]{0,8}", word in "[a-z]{1,4}", after in "[a-z]{0,8}") {
            prop_assert_eq!(matches(&word, &format!("{before}{word}{after}")), true);
            prop_assert_eq!(matches(&word, &before), before.contains(&word));
        }
    }
}

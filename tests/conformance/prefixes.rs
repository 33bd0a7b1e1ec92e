//! What has been sent before is sent again byte for byte: a provider's prompt cache begins where two requests agree.

use latchkey::wire::Format;
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

use super::caller::{Ask, CALLERS};
use super::cases::{Cell, STREAMED};
use super::upstream::{End, Say};

/// What a model may answer.
const SAYS: [Say; 4] = [
    Say { thought: false, text: "The sky is \"blue\" – 青い.", calls: &[], end: End::Stop },
    Say { thought: false, text: "", calls: &["sky"], end: End::Stop },
    Say { thought: false, text: "I look.", calls: &["sky", "sea"], end: End::Stop },
    Say { thought: false, text: "", calls: &["sea"], end: End::Stop },
];

/// A request's turns, and all else in it.
struct Sent {
    turns: Vec<Box<RawValue>>,
    rest: BTreeMap<String, Box<RawValue>>,
}

fn sent(body: &[u8]) -> Sent {
    let mut rest: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).expect("an object");
    let turns = ["messages", "contents", "input"].into_iter().find_map(|key| rest.remove(key)).expect("turns");
    Sent { turns: serde_json::from_str(turns.get()).expect("a list"), rest }
}

fn check(cell: &Cell<'_>, ask: &Ask, questions: &[String], says: &[Say]) -> Result<(), TestCaseError> {
    let mut world = cell.world();
    let (mut turns, mut before) = (Vec::new(), None::<Sent>);
    for (question, say) in questions.iter().zip(says) {
        turns.push(cell.caller.question(question, false));
        let mut say = Say { thought: ask.thinks, ..*say };
        // Calls are answered before the next question.
        loop {
            let (id, outbound) = cell.send(&mut world, ask, &turns);
            let now = sent(&outbound.body);
            if let Some(before) = before.replace(sent(&outbound.body)) {
                let shown = |sent: &[Box<RawValue>]| sent.iter().map(|turn| turn.get().to_owned()).collect::<Vec<_>>();
                let repeated = now.turns.get(..before.turns.len()).expect("no fewer turns");
                prop_assert_eq!(shown(repeated), shown(&before.turns));
                for (key, value) in &before.rest {
                    prop_assert_eq!(now.rest.get(key).map(|value| value.get()), Some(value.get()), "{}", key);
                }
            }
            let whole = cell.answer(&mut world, ask, id, &say);
            let seen = cell.caller.read(&whole);
            cell.caller.next(&whole, &seen, &mut turns);
            if say.calls.is_empty() {
                break;
            }
            say = Say { thought: ask.thinks, ..SAYS[0] };
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn what_was_sent_before_is_sent_again_byte_for_byte(
        questions in proptest::collection::vec("\\PC{1,20}", 3),
        says in proptest::collection::vec(proptest::sample::select(SAYS.to_vec()), 3),
        streams: bool,
        // A model that was asked to think and did not is asked otherwise from then on: some refuse its turns else.
        thinks: bool,
    ) {
        let ask = if streams { STREAMED } else { Ask::default() };
        let ask = Ask { tools: true, thinks, ..ask };
        for caller in CALLERS {
            for format in Format::ALL {
                check(&Cell { caller, format: *format }, &ask, &questions, &says)?;
            }
        }
    }
}

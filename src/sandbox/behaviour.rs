use crate::units::Millis;

/// The models as a list shows them; where a name holds a number, any other number works as well.
pub const MODELS: &[&str] =
    &["echo", "tools", "json", "delay-1000", "status-429", "status-500", "cut-3", "hang", "flaky-50"];

/// The longest wait a model name can ask for: past any deadline worth rehearsing.
const LONGEST_DELAY: u64 = 120_000;

/// What a model name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behaviour {
    Echo,
    Tools,
    Json,
    Delay(Millis),
    Status(u16),
    /// After so many content chunks.
    Cut(usize),
    Hang,
    /// Calls out of a hundred that fail.
    Flaky(u64),
}

impl Behaviour {
    /// `None` where there is no such model, or its number is out of range.
    pub(super) fn of(model: &str) -> Option<Behaviour> {
        match model {
            "echo" => return Some(Behaviour::Echo),
            "tools" => return Some(Behaviour::Tools),
            "json" => return Some(Behaviour::Json),
            "hang" => return Some(Behaviour::Hang),
            _ => {}
        }
        let (kind, number) = model.split_once('-')?;
        let number = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse::<u64>().ok())??;
        match kind {
            "delay" if number <= LONGEST_DELAY => Some(Behaviour::Delay(Millis(number))),
            "status" if (400..600).contains(&number) => u16::try_from(number).ok().map(Behaviour::Status),
            "cut" => usize::try_from(number).ok().map(Behaviour::Cut),
            "flaky" if number <= 100 => Some(Behaviour::Flaky(number)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_others_refused() {
        assert_eq!(Behaviour::of("delay-250"), Some(Behaviour::Delay(Millis(250))));
        assert_eq!(Behaviour::of("status-429"), Some(Behaviour::Status(429)));
        assert_eq!(Behaviour::of("cut-0"), Some(Behaviour::Cut(0)));
        assert_eq!(Behaviour::of("flaky-100"), Some(Behaviour::Flaky(100)));
        for name in ["", "echo-", "delay-", "delay--1", "delay-+5", "delay-999999999", "status-200", "flaky-101"] {
            assert_eq!(Behaviour::of(name), None, "{name}");
        }
        assert!(MODELS.iter().all(|name| Behaviour::of(name).is_some()));
    }
}

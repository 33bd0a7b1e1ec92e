//! How vendors depart from their format.

/// Departures of one vendor from its format. Each field says what differs and which recording shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// The stream may end without `[DONE]`; a finish reason before the end of the body is then its end.
    /// Recording: `cerebras.thinking-stream.87050a5eae`.
    pub ends_without_done: bool,
}

impl Quirks {
    /// A vendor that follows its format.
    pub const NONE: Quirks = Quirks { ends_without_done: false };
}

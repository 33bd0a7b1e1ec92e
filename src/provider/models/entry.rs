use crate::chat::Unit;
use crate::provider::Capabilities;
use crate::provider::prices::{Bucket, LongPrompt, Price, Rates};
use crate::units::NanoUsd;

/// One line of the catalogue. Columns are read when they are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    catalog_id: &'static str,
    id: &'static str,
    /// What follows the key.
    columns: &'static str,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Conversation.
    Chat,
    /// Conversation, but only over OpenAI's Responses endpoint.
    Responses,
    /// Continuing a text.
    Completion,
    /// Vectors.
    Embedding,
    /// Making images.
    ImageGeneration,
    /// Changing images.
    ImageEdit,
    /// Sound to text.
    Transcription,
    /// Text to sound.
    Speech,
    /// Ordering documents by relevance.
    Rerank,
    /// Judging content.
    Moderation,
    /// Talking over a socket.
    Realtime,
}

/// A kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Modality {
    /// Text.
    Text,
    /// Images.
    Image,
    /// Sound.
    Audio,
    /// Film.
    Video,
}

impl Entry {
    pub(super) fn read(line: &'static str) -> Option<Entry> {
        let (key, columns) = line.split_once('\t')?;
        let (catalog_id, id) = key.split_once('/')?;
        Some(Entry { catalog_id, id, columns })
    }

    /// The provider's id in the catalogue.
    #[must_use]
    pub fn catalog_id(&self) -> &'static str {
        self.catalog_id
    }

    /// The model's id as the provider spells it.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// What it is for.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        Some(match self.column(0) {
            "c" => Mode::Chat,
            "r" => Mode::Responses,
            "t" => Mode::Completion,
            "e" => Mode::Embedding,
            "i" => Mode::ImageGeneration,
            "x" => Mode::ImageEdit,
            "a" => Mode::Transcription,
            "s" => Mode::Speech,
            "k" => Mode::Rerank,
            "m" => Mode::Moderation,
            "l" => Mode::Realtime,
            _ => return None,
        })
    }

    /// Tokens of input and output together, or of input where the vendor counts them apart.
    #[must_use]
    pub fn context(&self) -> Option<u64> {
        self.column(1).parse().ok()
    }

    /// The most tokens it produces.
    #[must_use]
    pub fn max_output(&self) -> Option<u64> {
        self.column(2).parse().ok()
    }

    /// The length of its vectors.
    #[must_use]
    pub fn dimensions(&self) -> Option<u64> {
        self.column(3).parse().ok()
    }

    /// What it can do; `None` where the list says nothing.
    #[must_use]
    pub fn capabilities(&self) -> Option<Capabilities> {
        u32::from_str_radix(self.column(4), 16).ok().map(Capabilities)
    }

    /// What it takes: as listed, or what its capabilities imply.
    #[must_use]
    pub fn input_modalities(&self) -> Vec<Modality> {
        let listed = self.column(5).split('>').next().unwrap_or_default();
        if !listed.is_empty() {
            return listed.chars().filter_map(modality).collect();
        }
        let can = self.capabilities().unwrap_or_default();
        let implied = [
            (self.mode() != Some(Mode::Transcription), Modality::Text),
            (can.has(Capabilities::VISION), Modality::Image),
            (can.has(Capabilities::AUDIO_INPUT) || self.mode() == Some(Mode::Transcription), Modality::Audio),
            (can.has(Capabilities::VIDEO_INPUT), Modality::Video),
        ];
        implied.into_iter().filter_map(|(there, modality)| there.then_some(modality)).collect()
    }

    /// What it gives: as listed, or what its mode and capabilities imply.
    #[must_use]
    pub fn output_modalities(&self) -> Vec<Modality> {
        let listed = self.column(5).split('>').nth(1).unwrap_or_default();
        if !listed.is_empty() {
            return listed.chars().filter_map(modality).collect();
        }
        match self.mode() {
            Some(Mode::ImageGeneration | Mode::ImageEdit) => vec![Modality::Image],
            Some(Mode::Speech) => vec![Modality::Audio],
            _ if self.capabilities().unwrap_or_default().has(Capabilities::AUDIO_OUTPUT) => {
                vec![Modality::Text, Modality::Audio]
            }
            _ => vec![Modality::Text],
        }
    }

    /// What it costs; `None` where that is not known.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        let text = self.price_text();
        let mut price = Price::default();
        for (index, set) in text.split(';').enumerate() {
            let (name, rates) = if index == 0 { ("", set) } else { set.split_once(' ')? };
            match name {
                "" => price.rates = read_rates(rates)?,
                "/" => price.units = self.read_units(rates)?,
                name => {
                    let rates = match rates.split_once('%') {
                        Some((percent, without)) => in_proportion(&price.rates, percent.parse().ok()?, without)?,
                        None => read_rates(rates)?,
                    };
                    match name.strip_prefix('>') {
                        Some(tokens) => price.above.push(LongPrompt { tokens: tokens.parse().ok()?, rates }),
                        None => price.service_tiers.push((name.to_owned(), rates)),
                    }
                }
            }
        }
        (!text.is_empty()).then_some(price)
    }

    /// Reads `g0.04 c0.000015`.
    fn read_units(&self, text: &str) -> Option<Vec<(Unit, NanoUsd)>> {
        let makes_images = matches!(self.mode(), Some(Mode::ImageGeneration | Mode::ImageEdit));
        // The list says of some makers of images what one costs under the name of an image sent.
        let only_sent = makes_images && !coded_amounts(text).any(|(code, _)| code == 'g');
        let unit = |code| {
            Some(match code {
                's' => Unit::InputSecond,
                't' => Unit::OutputSecond,
                'j' if only_sent => Unit::Image,
                'g' => Unit::Image,
                'j' => Unit::InputImage,
                'c' => Unit::InputCharacter,
                'q' => Unit::Query,
                _ => return None,
            })
        };
        coded_amounts(text).map(|(code, amount)| Some((unit(code)?, amount?))).collect()
    }

    /// Its price as it stands in the catalogue: two models with the same text cost the same.
    pub(crate) fn price_text(&self) -> &'static str {
        self.column(6)
    }

    /// The day from which the provider stops serving it, as `2026-11-30`.
    #[must_use]
    pub fn retires(&self) -> Option<&'static str> {
        Some(self.column(7)).filter(|date| !date.is_empty())
    }

    fn column(&self, index: usize) -> &'static str {
        self.columns.split('\t').nth(index).unwrap_or_default()
    }
}

impl Modality {
    /// Its name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Modality::Text => "text",
            Modality::Image => "image",
            Modality::Audio => "audio",
            Modality::Video => "video",
        }
    }
}

impl Mode {
    /// Its name in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mode::Chat => "chat",
            Mode::Responses => "responses",
            Mode::Completion => "completion",
            Mode::Embedding => "embedding",
            Mode::ImageGeneration => "image_generation",
            Mode::ImageEdit => "image_edit",
            Mode::Transcription => "audio_transcription",
            Mode::Speech => "audio_speech",
            Mode::Rerank => "rerank",
            Mode::Moderation => "moderation",
            Mode::Realtime => "realtime",
        }
    }
}

fn modality(letter: char) -> Option<Modality> {
    match letter {
        't' => Some(Modality::Text),
        'i' => Some(Modality::Image),
        'a' => Some(Modality::Audio),
        'v' => Some(Modality::Video),
        _ => None,
    }
}

/// The letters of [`Bucket::ALL`], in its order.
const BUCKETS: &str = "iorwhnabgmq";

/// Reads `i2.5 o10`.
fn read_rates(text: &str) -> Option<Rates> {
    let mut rates = Rates::default();
    for (code, amount) in coded_amounts(text) {
        rates.set(*Bucket::ALL.get(BUCKETS.find(code)?)?, amount?);
    }
    Some(rates)
}

/// So many per cent of the `standard` prices, which is always whole; the letters in `without` have none.
fn in_proportion(standard: &Rates, percent: i64, without: &str) -> Option<Rates> {
    let mut rates = Rates::default();
    for (bucket, rate) in standard.iter() {
        if !without.contains(BUCKETS.chars().nth(bucket as usize)?) {
            rates.set(bucket, NanoUsd(rate.0.checked_mul(percent)? / 100));
        }
    }
    Some(rates)
}

/// The letter and the dollars of each word.
fn coded_amounts(text: &str) -> impl Iterator<Item = (char, Option<NanoUsd>)> {
    text.split_ascii_whitespace().filter_map(|word| {
        let mut rest = word.chars();
        Some((rest.next()?, NanoUsd::parse_usd(rest.as_str())))
    })
}

use crate::units::NanoUsd;

/// What is counted in a call's usage, each in tokens but the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bucket {
    /// Fresh input.
    Input,
    /// Visible output.
    Output,
    /// Input read from a prompt cache. Priced as `Input` where it has no price.
    CacheRead,
    /// Input written to a cache for five minutes. Priced as `Input` where it has no price.
    CacheWrite,
    /// Input written to a cache for an hour. Priced as `CacheWrite` where it has no price.
    CacheWrite1h,
    /// Reasoning. Priced as `Output` where it has no price.
    Reasoning,
    /// Fresh audio input. Priced as `Input` where it has no price.
    AudioInput,
    /// Generated audio. Priced as `Output` where it has no price.
    AudioOutput,
    /// Fresh image input. Priced as `Input` where it has no price.
    ImageInput,
    /// Generated images. Priced as `Output` where it has no price.
    ImageOutput,
    /// Searches and other requests of provider-run tools, counted one by one. No parent.
    Request,
}

impl Bucket {
    /// How many there are.
    pub const COUNT: usize = 11;

    /// All, in the order in which they are declared.
    pub const ALL: [Bucket; Bucket::COUNT] = [
        Bucket::Input,
        Bucket::Output,
        Bucket::CacheRead,
        Bucket::CacheWrite,
        Bucket::CacheWrite1h,
        Bucket::Reasoning,
        Bucket::AudioInput,
        Bucket::AudioOutput,
        Bucket::ImageInput,
        Bucket::ImageOutput,
        Bucket::Request,
    ];

    /// Its name in the configuration document and in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Bucket::Input => "input",
            Bucket::Output => "output",
            Bucket::CacheRead => "cache_read",
            Bucket::CacheWrite => "cache_write",
            Bucket::CacheWrite1h => "cache_write_1h",
            Bucket::Reasoning => "reasoning",
            Bucket::AudioInput => "audio_input",
            Bucket::AudioOutput => "audio_output",
            Bucket::ImageInput => "image_input",
            Bucket::ImageOutput => "image_output",
            Bucket::Request => "request",
        }
    }

    /// What it is priced as where it has no price of its own.
    #[must_use]
    pub fn parent(self) -> Option<Bucket> {
        match self {
            Bucket::Input | Bucket::Output | Bucket::Request => None,
            Bucket::CacheWrite1h => Some(Bucket::CacheWrite),
            Bucket::CacheRead | Bucket::CacheWrite | Bucket::AudioInput | Bucket::ImageInput => Some(Bucket::Input),
            Bucket::Reasoning | Bucket::AudioOutput | Bucket::ImageOutput => Some(Bucket::Output),
        }
    }
}

/// A price per million for some of the buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Rates([Option<NanoUsd>; Bucket::COUNT]);

impl Rates {
    /// The price of `bucket` itself.
    #[must_use]
    pub fn get(&self, bucket: Bucket) -> Option<NanoUsd> {
        self.0.get(bucket as usize).copied().flatten()
    }

    /// The price of `bucket`, or of the nearest parent that has one.
    #[must_use]
    pub fn with_parents(&self, bucket: Bucket) -> Option<NanoUsd> {
        let mut next = Some(bucket);
        while let Some(bucket) = next {
            if let Some(rate) = self.get(bucket) {
                return Some(rate);
            }
            next = bucket.parent();
        }
        None
    }

    /// Sets the price of `bucket`.
    pub fn set(&mut self, bucket: Bucket, per_million: NanoUsd) {
        if let Some(rate) = self.0.get_mut(bucket as usize) {
            *rate = Some(per_million);
        }
    }

    /// The prices that are there.
    pub fn iter(&self) -> impl Iterator<Item = (Bucket, NanoUsd)> {
        Bucket::ALL.into_iter().zip(self.0).filter_map(|(bucket, rate)| rate.map(|rate| (bucket, rate)))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// `self` with what `other` names put in its place. A bucket that costs what its parent costs goes on doing so.
    pub(super) fn replaced_by(&self, other: &Rates) -> Rates {
        let mut rates = *self;
        for (bucket, rate) in other.iter() {
            rates.set(bucket, rate);
        }
        // Parents come before their children, so a grandchild follows too.
        for bucket in Bucket::ALL {
            if let (None, Some(own), Some(parent)) = (other.get(bucket), self.get(bucket), bucket.parent())
                && self.with_parents(parent) == Some(own)
                && let Some(followed) = rates.with_parents(parent)
            {
                rates.set(bucket, followed);
            }
        }
        rates
    }

    /// `self` moved as each bucket moves from `from` to `to`, rounded up. What has no price in `from` stays.
    pub(super) fn in_proportion(&self, from: &Rates, to: &Rates) -> Rates {
        let mut rates = *self;
        for (bucket, rate) in self.iter() {
            if let (Some(from), Some(to)) = (from.with_parents(bucket), to.with_parents(bucket))
                && from.0 > 0
            {
                let moved = (i128::from(rate.0) * i128::from(to.0) + i128::from(from.0) - 1) / i128::from(from.0);
                rates.set(bucket, NanoUsd(i64::try_from(moved).unwrap_or(i64::MAX)));
            }
        }
        rates
    }
}

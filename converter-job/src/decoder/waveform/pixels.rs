//! Lowest and highest samples of stretches that grow with the sound.
//!
//! It sees every sample on its way to the encoder, so it must cost next to nothing: the loops have no
//! branches and run over lanes, which become the processor's wide registers.

/// Samples that are looked at side by side. Of 8 the compiler makes single steps, four times as slow.
const LANES: usize = 16;

/// A sample of any format.
pub(super) trait Level: Copy {
    /// At full scale.
    const FULL: f32;
    fn level(self) -> f32;
}

impl Level for i16 {
    const FULL: f32 = 32_768.0;
    fn level(self) -> f32 {
        self.into()
    }
}

impl Level for i32 {
    const FULL: f32 = 2_147_483_648.0;
    fn level(self) -> f32 {
        self as f32
    }
}

impl Level for f32 {
    const FULL: f32 = 1.0;
    fn level(self) -> f32 {
        self
    }
}

/// What a stretch of sound reaches.
#[derive(Clone, Copy)]
struct Reach {
    /// Of the sum of both channels.
    low: f32,
    high: f32,
    /// Of either channel, without its sign.
    peak: f32,
}

/// All stretches so far.
pub(super) struct Pixels {
    whole: Vec<[f32; 2]>,
    /// At most so many, an even number.
    most: usize,
    /// Samples in each.
    step: usize,
    /// The one that is not whole yet, and its samples.
    last: Reach,
    filled: usize,
    peak: f32,
}

/// The lesser of two; what is no number is passed over. Unlike `f32::min` it is one instruction.
const fn least(new: f32, old: f32) -> f32 {
    if new < old { new } else { old }
}

const fn most(new: f32, old: f32) -> f32 {
    if new > old { new } else { old }
}

impl Reach {
    const NONE: Self = Self { low: f32::INFINITY, high: f32::NEG_INFINITY, peak: 0.0 };

    fn join(self, other: Self) -> Self {
        Self {
            low: least(self.low, other.low),
            high: most(self.high, other.high),
            peak: most(self.peak, other.peak),
        }
    }

    /// What these samples reach. Both slices are of one length.
    fn of<T: Level>(left: &[T], right: &[T]) -> Self {
        let (left, left_rest) = left.as_chunks::<LANES>();
        let (right, right_rest) = right.as_chunks::<LANES>();
        let mut lanes = Lanes::NONE;
        for (left, right) in left.iter().zip(right) {
            lanes.add(left.map(T::level), right.map(T::level));
        }
        let rest = left_rest.iter().zip(right_rest);
        rest.map(|(left, right)| Self::of_one(left.level(), right.level()))
            .fold(lanes.all(), Self::join)
    }

    fn of_one(left: f32, right: f32) -> Self {
        let sum = left + right;
        Self { low: sum, high: sum, peak: most(left.abs(), right.abs()) }.join(Self::NONE)
    }
}

/// What the samples of each lane reach.
struct Lanes {
    low: [f32; LANES],
    high: [f32; LANES],
    peak: [f32; LANES],
}

impl Lanes {
    const NONE: Self = Self {
        low: [Reach::NONE.low; LANES],
        high: [Reach::NONE.high; LANES],
        peak: [Reach::NONE.peak; LANES],
    };

    #[inline(always)]
    fn add(&mut self, left: [f32; LANES], right: [f32; LANES]) {
        for lane in 0..LANES {
            let (left, right) = (left[lane], right[lane]);
            self.low[lane] = least(left + right, self.low[lane]);
            self.high[lane] = most(left + right, self.high[lane]);
            self.peak[lane] = most(most(left.abs(), right.abs()), self.peak[lane]);
        }
    }

    fn all(&self) -> Reach {
        let lane =
            |lane| Reach { low: self.low[lane], high: self.high[lane], peak: self.peak[lane] };
        (0..LANES).map(lane).fold(Reach::NONE, Reach::join)
    }
}

impl Pixels {
    /// None yet, of `step` samples to begin with.
    pub(super) const fn new(step: usize, most: usize) -> Self {
        Self { whole: Vec::new(), most, step, last: Reach::NONE, filled: 0, peak: 0.0 }
    }

    /// Takes the next samples of both channels.
    pub(super) fn push<T: Level>(&mut self, mut left: &[T], mut right: &[T]) {
        while !left.is_empty() && !right.is_empty() {
            let count = left.len().min(right.len()).min(self.step - self.filled);
            let (of_left, of_right) = (&left[..count], &right[..count]);
            self.last = self.last.join(Reach::of(of_left, of_right));
            self.filled += count;
            if self.filled == self.step {
                self.complete();
            }
            (left, right) = (&left[count..], &right[count..]);
        }
    }

    /// Makes the last pixel a whole one, or where there is no place for it the first half of one.
    fn complete(&mut self) {
        if self.whole.len() == self.most {
            self.halve();
        } else {
            self.keep();
        }
    }

    fn keep(&mut self) {
        let Reach { low, high, peak } = self.last;
        self.whole.push([low, high]);
        self.peak = most(peak, self.peak);
        (self.last, self.filled) = (Reach::NONE, 0);
    }

    /// Makes each two pixels one.
    fn halve(&mut self) {
        let (pairs, _) = self.whole.as_chunks::<2>();
        let join = |[one, two]: &[[f32; 2]; 2]| [least(one[0], two[0]), most(one[1], two[1])];
        self.whole = pairs.iter().map(join).collect();
        self.step *= 2;
    }

    /// The highest sample of either channel, without its sign.
    pub(super) const fn peak(&self) -> f32 {
        most(self.last.peak, self.peak)
    }

    /// Samples in each pixel, and the pixels in 8 bits once they are multiplied by `factor`.
    pub(super) fn finish(mut self, factor: f32) -> (u32, Vec<i8>) {
        if self.filled > 0 {
            if self.whole.len() == self.most {
                self.halve();
            }
            self.keep();
        }
        // Towards zero, as `audiowaveform` does; what is louder than full scale stays at its edge.
        let byte = |level: f32| (level * factor * 128.0) as i8;
        // Where nothing was a number there is neither a lowest nor a highest.
        let pixel = |[low, high]: &[f32; 2]| {
            if low <= high { [byte(*low), byte(*high)] } else { [0, 0] }
        };
        let step = u32::try_from(self.step).unwrap_or(u32::MAX);
        (step, self.whole.iter().flat_map(pixel).collect())
    }
}

#[cfg(test)]
mod tests;

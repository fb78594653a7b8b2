//! Choices that follow from a seed, which is printed; `SEED` repeats one.

use crate::Result;
use anyhow::Context;
use rand::{SeedableRng, rngs::StdRng};

/// Choices for one scenario.
pub(crate) fn chance() -> Result<StdRng> {
    Ok(StdRng::seed_from_u64(seed()?))
}

/// What they follow from.
pub(crate) fn seed() -> Result<u64> {
    let seed = match std::env::var("SEED") {
        Ok(seed) => seed.parse().context("SEED")?,
        Err(_) => rand::random(),
    };
    eprintln!("repeat these choices with SEED={seed}");
    Ok(seed)
}

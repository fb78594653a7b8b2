//! Has libFuzzer look for bytes for which the property named by `PROPERTY` does not hold.

#![no_main]

use pure::{PROPERTIES, Property};
use std::{env, sync::LazyLock};

static CHOSEN: LazyLock<Property> = LazyLock::new(|| {
    let wanted = env::var("PROPERTY").unwrap_or_default();
    let found = PROPERTIES.iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| unknown(&wanted)).1
});

fn unknown(wanted: &str) -> ! {
    let names: Vec<_> = PROPERTIES.iter().map(|(name, _)| *name).collect();
    eprintln!("PROPERTY is '{wanted}', and not one of {}", names.join(", "));
    std::process::exit(2)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| CHOSEN(bytes));

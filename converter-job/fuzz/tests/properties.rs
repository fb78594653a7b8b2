//! Every property, on a few bytes of all kinds: what fuzzing does for hours, for seconds.
//!
//! `FOUND=file PROPERTY=name` tries the bytes that fuzzing has found, without what fuzzing needs.

use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, TestRunner},
};
use pure::PROPERTIES;
use std::{env, fs};

#[test]
fn every_property_holds() {
    for (name, property) in PROPERTIES {
        let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
        let tried = TestRunner::new(config).run(&vec(any::<u8>(), 0..400), |bytes| {
            property(&bytes);
            Ok(())
        });
        tried.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn what_was_found_holds_now() {
    let (Ok(found), Ok(name)) = (env::var("FOUND"), env::var("PROPERTY")) else { return };
    let (_, property) = PROPERTIES.into_iter().find(|(known, _)| *known == name).unwrap();
    property(&fs::read(found).unwrap());
}

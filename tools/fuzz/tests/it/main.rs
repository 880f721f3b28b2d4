//! Samples and kept inputs, and that a run is the same each time.
#![cfg(test)]

use ringlog_fuzz::mutate::mutate;
use ringlog_fuzz::{INPUT_BYTES_MAX, TARGETS, corpus};
use ringlog_reactor::sim::Chance;

#[test]
fn every_sample_is_accepted() {
    for target in TARGETS {
        let samples = (target.samples)();
        assert!(!samples.is_empty(), "{}", target.name);
        for (number, sample) in samples.iter().enumerate() {
            let is_empty_segment = target.name == "segment" && sample.iter().all(|&byte| byte == 0);
            let accepted = (target.run)(sample);
            assert!(accepted || is_empty_segment, "{} {number}", target.name);
            assert!(sample.len() <= INPUT_BYTES_MAX);
        }
    }
}

#[test]
fn sealing_leaves_sound_samples_as_they_are() {
    for target in TARGETS.iter().filter(|target| target.name != "segment") {
        for (number, sample) in (target.samples)().iter().enumerate() {
            let mut sealed = sample.clone();
            (target.seal)(&mut sealed);
            assert!(sealed == *sample, "{} {number}", target.name);
        }
    }
}

#[test]
fn what_is_kept_holds() {
    for target in TARGETS {
        for (_, input) in corpus::kept(target).unwrap() {
            // It panics when not; whether it is accepted does not matter.
            (target.run)(&input);
        }
    }
}

#[test]
fn a_seed_names_its_changes() {
    let changed = |seed| {
        let mut chance = Chance::new(seed);
        let mut input = vec![7; 100];
        (0..50).for_each(|_| mutate(&mut input, &[1, 2, 3], &mut chance, INPUT_BYTES_MAX));
        input
    };
    assert_eq!(changed(4), changed(4));
    assert_ne!(changed(4), changed(5));
}

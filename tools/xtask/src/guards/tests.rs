use super::*;

const SOURCE: &str = "\
    Guard {
        step: Step::SyncBeforeAck,
        seed: 4,
        checker: \"acknowledged-lost\",
    },
    Guard {
        step: Step::OneWrite,
        seed: 4,
        checker: \"not-dense\",
    },
";

#[test]
fn pins_are_found_by_the_names_of_the_command_line() {
    let names: Vec<String> = steps(SOURCE).into_iter().map(|step| step.name).collect();
    assert_eq!(names, ["sync-before-ack", "one-write"]);
}

#[test]
fn a_pin_moves_alone() {
    let steps = steps(SOURCE);
    let moved = pinned(SOURCE, &steps[1], "17");
    assert!(moved.contains("step: Step::SyncBeforeAck,\n        seed: 4,"));
    assert!(moved.contains("step: Step::OneWrite,\n        seed: 17,"));
}

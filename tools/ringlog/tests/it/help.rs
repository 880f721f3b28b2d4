//! What a new user sees first.

use crate::process::run;

#[test]
fn top_level_help_names_every_command() {
    let help = String::from_utf8(run(&["--help"], b"").ok()).unwrap();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let expected = [
        "broker",
        "topic",
        "produce",
        "consume",
        "group",
        "cluster",
        "log",
        "doctor",
        "bench",
        "completions",
        "help",
    ];
    assert_eq!(commands, expected, "{help}");
    assert!(help.contains("it says what to type next"), "{help}");
}

#[test]
fn every_command_explains_itself() {
    for command in [
        &["broker"][..],
        &["topic", "create"],
        &["topic", "list"],
        &["topic", "describe"],
        &["topic", "alter"],
        &["topic", "reassign"],
        &["topic", "delete"],
        &["topic", "offsets"],
        &["topic", "delete-records"],
        &["cluster", "watch"],
        &["cluster", "drain"],
        &["cluster", "elect-leaders"],
        &["produce"],
        &["consume"],
        &["group", "describe"],
        &["group", "reset"],
        &["cluster", "status"],
        &["log", "dump"],
        &["log", "verify"],
        &["doctor"],
        &["bench", "device"],
        &["bench", "produce"],
        &["bench", "consume"],
        &["bench", "end-to-end"],
        &["bench", "rate-ladder"],
        &["bench", "slo-search"],
        &["bench", "cold-reader"],
        &["bench", "partitions"],
        &["bench", "connections"],
        &["bench", "hostile"],
        &["bench", "soak"],
        &["bench", "append"],
        &["bench", "restart"],
        &["bench", "compare-results"],
        &["completions"],
    ] {
        let mut args = command.to_vec();
        args.push("--help");
        let help = String::from_utf8(run(&args, b"").ok()).unwrap();
        assert!(
            help.contains(&format!("Usage: ringlog {}", command.join(" "))),
            "{help}"
        );
        let example = format!("  ringlog {}", command.join(" "));
        let examples = help.split_once("Examples:\n").map(|(_, examples)| examples);
        assert!(
            examples.is_some_and(|examples| examples.contains(&example)),
            "{help}"
        );
        // On the smallest usual terminal examples can still be copied.
        let shown = help.split_once("Formats:").or(help.split_once("Examples:"));
        let widest = shown.and_then(|(_, shown)| shown.lines().map(str::len).max());
        assert!(widest.is_some_and(|widest| widest <= 80), "{help}");
    }
}

#[test]
fn wrong_usage_ends_with_two() {
    run(&["produce"], b"").refused(2, &["<TOPIC>"]);
    run(&["brokr"], b"").refused(2, &["broker"]);
    run(&["consume", "t", "--from", "begin"], b"").refused(2, &["earliest", "latest", "offset"]);
    run(&["consume", "t", "--print", "values"], b"").refused(2, &["value", "key", "timestamp"]);
    run(&["produce", "t", "--headers", "source"], b"").refused(2, &["NAME=VALUE"]);
    run(&["produce", "t", "--key-separator", ""], b"").refused(2, &["must not be empty"]);
    run(
        &[
            "topic",
            "delete-records",
            "t",
            "--before",
            "3",
            "--partition",
            "0,1",
        ],
        b"",
    )
    .refused(2, &["--partition"]);
    run(&["topic", "create", "t", "--config", "durability"], b"").refused(2, &["KEY=VALUE"]);
    run(&["produce", "t", "--batch-bytes", "64KB"], b"").refused(2, &["KiB"]);
}

#[test]
fn nobody_listening_is_one_sentence_that_says_what_to_do() {
    let refused = run(&["topic", "list", "--bootstrap", "127.0.0.1:1"], b"");
    refused.refused(1, &["127.0.0.1:1", "ringlog broker"]);
}

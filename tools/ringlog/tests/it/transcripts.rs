//! The transcripts in the documents of the binary, run again and compared.
//!
//! A block of kind `console` is a terminal: lines behind `$ ` are typed, the others are what it says. Each document is a
//! session in an empty folder with one broker. What differs from run to run stands in the documents as a named
//! placeholder such as `<time>`. With `RINGLOG_WRITE_TRANSCRIPTS=1` what was said is written into the documents.

mod document;
mod placeholders;
mod session;

use std::fs;
use std::path::PathBuf;

use self::document::{Document, Typed};
use self::session::Session;

const WRITE: &str = "RINGLOG_WRITE_TRANSCRIPTS";

fn documents() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs")
}

#[track_caller]
fn check(name: &str) {
    let path = documents().join(name);
    let text = fs::read_to_string(&path).unwrap();
    let document = Document::parse(&text);
    let starts_broker = document
        .steps
        .iter()
        .any(|step| matches!(&step.typed, Typed::Command(command) if is_broker(command)));
    let mut session = Session::new(!starts_broker);
    let said: Vec<String> = document
        .steps
        .iter()
        .map(|step| match &step.typed {
            Typed::Command(command) if is_broker(command) => session.start_broker(command),
            Typed::Command(command) if step.is_interrupted => session.follow(command, step),
            Typed::Command(command) => session.run(command),
            Typed::Interrupt => session.stop_broker(),
        })
        .collect();
    let now = document.with(&said);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, now).unwrap();
        return;
    }
    for (step, said) in document.steps.iter().zip(&said) {
        assert!(
            step.said == *said,
            "{name} says that `{}` prints\n{}\nbut it prints\n{said}\nIf that is right, {WRITE}=1 writes it into the \
             document",
            step.typed,
            step.said
        );
    }
    assert_eq!(now, text);
}

fn is_broker(command: &str) -> bool {
    command.starts_with("ringlog broker") && !command.contains("--help")
}

/// The blocks of README that are typed once a broker runs, one behind the other.
#[test]
fn the_tour_of_the_readme_runs_as_it_stands() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(path).unwrap();
    let blocks = text.split("```sh\n").skip(1);
    let blocks: Vec<&str> = blocks
        .filter_map(|rest| Some(rest.split_once("```")?.0))
        .filter(|block| !block.contains("cargo "))
        .collect();
    assert!(blocks.len() >= 4, "{blocks:?}");
    let mut session = Session::new(true);
    session.put("README.md", &text);
    let said = session.run(&format!("set -euo pipefail\n{}", blocks.concat()));
    assert_eq!(session.code(), 0, "{said}");
    for part in ["hello, log\n", "the same\n", "created topic audit"] {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
}

macro_rules! documents {
    ($($test:ident: $name:literal,)*) => {
        $(#[test] fn $test() { check($name); })*

        #[test]
        fn every_document_is_run() {
            let entries = fs::read_dir(documents()).unwrap();
            let mut found: Vec<_> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name != "README.md")
                .collect();
            found.sort();
            assert_eq!(found, [$($name),*]);
        }
    };
}

documents! {
    bench_is_as_documented: "bench.md",
    broker_is_as_documented: "broker.md",
    cluster_is_as_documented: "cluster.md",
    completions_are_as_documented: "completions.md",
    consume_is_as_documented: "consume.md",
    doctor_is_as_documented: "doctor.md",
    group_is_as_documented: "group.md",
    log_is_as_documented: "log.md",
    produce_is_as_documented: "produce.md",
    topic_is_as_documented: "topic.md",
}

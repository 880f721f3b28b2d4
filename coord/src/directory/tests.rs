use std::collections::BTreeSet;

use ringlog_record::{BrokerId, TopicId};

use super::*;

const MINE: ClusterId = ClusterId::new(1);
const OTHER: ClusterId = ClusterId::new(2);

fn format() -> FormatJson {
    FormatJson::new(MINE, BrokerId::new(1), DirectoryId::new(9))
}

#[test]
fn golden_format_file() {
    let text = "{\n  \"format_version\": 1,\n  \"cluster_id\": \"00000000000000000000000000000001\",\n  \
                \"broker_id\": 1,\n  \"directory_id\": \"00000000000000000000000000000009\"\n}\n";
    assert_eq!(String::from_utf8(format().encode().unwrap()).unwrap(), text);
    assert_eq!(FormatJson::decode(text.as_bytes()), Ok(format()));
}

#[test]
fn a_newer_format_is_refused_with_both_numbers_whatever_it_holds() {
    let error = FormatJson::decode(b"{\"format_version\":2,\"shape\":\"new\"}").unwrap_err();
    assert_eq!(
        error,
        DataDirError::NewerFormat {
            found: 2,
            supported: 1
        }
    );
    assert!(error.to_string().contains("format 2") && error.to_string().contains("up to 1"));
    let newer = FormatJson {
        format_version: 7,
        ..format()
    };
    let refused = check_identity(Some(newer), Some(MINE), false);
    assert_eq!(
        refused,
        Err(DataDirError::NewerFormat {
            found: 7,
            supported: 1
        })
    );
}

#[test]
fn a_damaged_format_file_is_refused() {
    for bad in ["", "{", "{}", "{\"format_version\":1}"] {
        assert!(
            matches!(
                FormatJson::decode(bad.as_bytes()),
                Err(DataDirError::Malformed { .. })
            ),
            "{bad}"
        );
    }
}

#[test]
fn every_combination_of_file_store_and_data() {
    let initialise = |cluster_id| Ok(Action::Initialise { cluster_id });
    let cases = [
        // Without topic data nothing can be lost.
        (None, None, false, initialise(None)),
        (None, Some(MINE), false, initialise(Some(MINE))),
        (Some(format()), None, false, initialise(Some(MINE))),
        (Some(format()), Some(MINE), false, Ok(Action::Use(format()))),
        (Some(format()), Some(OTHER), false, initialise(Some(OTHER))),
        // With topic data everything has to agree.
        (None, None, true, Err(DataDirError::MissingFormat)),
        (None, Some(MINE), true, Err(DataDirError::MissingFormat)),
        (
            Some(format()),
            None,
            true,
            Err(DataDirError::StoreMissing { cluster_id: MINE }),
        ),
        (Some(format()), Some(MINE), true, Ok(Action::Use(format()))),
        (
            Some(format()),
            Some(OTHER),
            true,
            Err(DataDirError::OtherCluster {
                directory: MINE,
                store: OTHER,
            }),
        ),
    ];
    for (found, store, data, outcome) in cases {
        assert_eq!(
            check_identity(found.clone(), store, data),
            outcome,
            "{found:?} {store:?} {data}"
        );
    }
}

#[test]
fn another_brokers_directory_is_refused() {
    assert_eq!(check_broker(&format(), BrokerId::new(1)), Ok(()));
    let refused = check_broker(&format(), BrokerId::new(2));
    assert_eq!(
        refused,
        Err(DataDirError::OtherBroker {
            directory: 1,
            configured: 2
        })
    );
}

#[test]
fn unknown_topic_directories_are_set_aside_and_never_removed() {
    let name = |id: u128| TopicId::new(id).to_string();
    let names = [
        name(1),
        name(2),
        name(0xab),
        name(0xab).to_uppercase(),
        format!("{}.unknown", name(4)),
        name(4),
        "lost+found".to_owned(),
    ];
    let known = BTreeSet::from([TopicId::new(1), TopicId::new(5)]);
    let deleting = BTreeSet::from([TopicId::new(2)]);
    let sorted = sort_topic_directories(names.iter().map(String::as_str), &known, &deleting);
    assert_eq!(sorted.known, [TopicId::new(1)]);
    assert_eq!(sorted.deleting, [TopicId::new(2)]);
    assert_eq!(sorted.aside, [format!("{}.unknown", name(4))]);
    let aside: Vec<(String, String)> = vec![
        (name(4), format!("{}.2.unknown", name(4))),
        (
            name(0xab).to_uppercase(),
            format!("{}.unknown", name(0xab).to_uppercase()),
        ),
        (name(0xab), format!("{}.unknown", name(0xab))),
        ("lost+found".to_owned(), "lost+found.unknown".to_owned()),
    ];
    assert_eq!(sorted.set_aside, aside);
}

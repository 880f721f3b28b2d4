use super::{TopicName, TopicNameError};

#[test]
fn names_of_allowed_characters_pass() {
    let longest = "x".repeat(249);
    for name in ["a", "A.b_c-9", "...", "__groups", "-", longest.as_str()] {
        assert_eq!(TopicName::parse(name).unwrap().as_str(), name);
    }
}

#[test]
fn each_broken_rule_has_its_error() {
    assert_eq!(TopicName::parse(""), Err(TopicNameError::Empty));
    let too_long = TopicName::parse(&"x".repeat(250)).unwrap_err();
    assert_eq!(
        too_long.to_string(),
        "a topic name of 250 bytes is too long, at most 249 are allowed"
    );
    for name in [".", ".."] {
        assert!(matches!(
            TopicName::parse(name),
            Err(TopicNameError::Dots { .. })
        ));
    }
    for (name, bad) in [
        ("a/b", '/'),
        ("a b", ' '),
        ("é", 'é'),
        ("a\n", '\n'),
        ("a:b", ':'),
    ] {
        let error = TopicName::parse(name).unwrap_err();
        assert!(matches!(error, TopicNameError::Character { character, .. } if character == bad));
    }
}

#[test]
fn internal_names_are_not_for_users() {
    assert!(TopicName::parse("__groups").unwrap().is_internal());
    assert!(matches!(
        TopicName::parse_for_user("__x"),
        Err(TopicNameError::Internal { .. })
    ));
    assert!(TopicName::parse_for_user("_x").is_ok());
}

#[test]
fn a_stored_name_is_checked_when_read() {
    assert!(serde_json::from_str::<TopicName>("\"a\"").is_ok());
    assert!(serde_json::from_str::<TopicName>("\"a/b\"").is_err());
}

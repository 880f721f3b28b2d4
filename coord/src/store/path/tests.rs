use super::NodePath;

#[test]
fn only_clean_absolute_paths_are_accepted() {
    for good in ["/", "/a", "/a/b.c", "/topics/__groups", "/a/..b"] {
        assert_eq!(
            NodePath::parse(good).map(|path| path.as_str().to_owned()),
            Ok(good.to_owned())
        );
    }
    for bad in [
        "", "a", "a/b", "//", "/a/", "/a//b", "/.", "/a/..", "/a\0b", "/a\nb",
    ] {
        assert!(NodePath::parse(bad).is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn parent_name_and_join_agree() {
    let path = NodePath::root().join("t").join("p");
    assert_eq!(path.as_str(), "/t/p");
    assert_eq!(path.name(), "p");
    assert_eq!(path.parent(), Some(NodePath::root().join("t")));
    assert_eq!(NodePath::root().join("t").parent(), Some(NodePath::root()));
    assert_eq!(NodePath::root().parent(), None);
    assert_eq!(NodePath::root().name(), "");
}

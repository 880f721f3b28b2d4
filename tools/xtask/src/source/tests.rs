use super::*;

fn words_of(source: &str) -> Vec<String> {
    let code = code_only(source);
    words(&code).map(|(_, word)| word.to_owned()).collect()
}

#[test]
fn comments_and_literals_are_not_code() {
    assert_eq!(words_of("a // b\nc /* d /* e */ f */ g"), ["a", "c", "g"]);
    assert_eq!(
        words_of(r#"a("b \" c", 'd', '\'', '\u{7f}', e)"#),
        ["a", "e"]
    );
    assert_eq!(
        words_of("r#\"a \" b\"# c br\"d\" e r#type"),
        ["c", "b", "e", "r", "type"]
    );
    assert_eq!(
        words_of("fn f<'a>(x: &'a str) {}"),
        ["fn", "f", "a", "x", "a", "str"]
    );
    assert_eq!(words_of("number\"text\" more"), ["number", "more"]);
}

#[test]
fn lines_keep_their_numbers() {
    let code = code_only("/* a\nb */ c\n\"d\ne\" f");
    let numbered: Vec<_> = words(&code).collect();
    assert_eq!(numbered, [(2, "c"), (4, "f")]);
}

#[test]
fn modules_for_tests_are_left_out() {
    let code = "a\n#[cfg(test)]\nmod tests {\n  fn b() {\n  }\n}\nc\n#[cfg(test)]\nmod tests;\nd";
    let kept = without_test_modules(code);
    let kept: Vec<_> = words(&kept).collect();
    assert_eq!(kept, [(1, "a"), (7, "c"), (10, "d")]);
}

#[test]
fn imports_over_several_lines_are_one() {
    let found = imports("use a::{\n    b,\n    c::d,\n};\nfn f() {}\npub use e;");
    assert_eq!(
        found,
        [
            (1, "usea::{b,c::d,};".to_owned()),
            (6, "pubusee;".to_owned())
        ]
    );
}

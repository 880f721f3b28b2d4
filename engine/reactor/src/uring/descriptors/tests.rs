use super::{DescriptorLimit, descriptor_limit, judge, raise_descriptor_limit};
use crate::uring::Verdict;

#[test]
fn the_limit_is_raised_as_far_as_it_may() {
    let before = descriptor_limit().unwrap();
    assert_eq!(raise_descriptor_limit().unwrap(), before.hard);
    assert_eq!(descriptor_limit().unwrap().soft, before.hard);
}

#[test]
fn a_low_hard_limit_is_told_with_what_to_change() {
    let low = judge(DescriptorLimit {
        soft: 1_024,
        hard: 4_096,
    });
    assert_eq!(low.verdict, Verdict::Warn);
    assert!(low.sentence.contains("LimitNOFILE"), "{}", low.sentence);
    let high = judge(DescriptorLimit {
        soft: 1_024,
        hard: 1 << 20,
    });
    assert_eq!(high.verdict, Verdict::Ok);
}

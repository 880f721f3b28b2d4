use super::*;

#[test]
fn slices_tile_only_when_their_lengths_add_up() {
    assert_eq!(tiles([], 0), Ok(()));
    assert_eq!(tiles([1, 2, 3], 6), Ok(()));
    assert!(tiles([1, 2, 3], 5).is_err());
    assert!(tiles([1, 2, 3], 7).is_err());
    // The sum does not wrap around.
    assert!(tiles([u32::MAX, 2], 1).is_err());
}

#[test]
fn ranges_lie_one_behind_the_other() {
    let ranges: Vec<_> = ranges([3_u32, 0, 4].into_iter(), |len| *len).collect();
    assert_eq!(ranges, [(3, 0..3), (0, 3..3), (4, 3..7)]);
}

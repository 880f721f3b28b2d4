use ringlog_reactor::Space;

use super::SpaceGauge;

#[test]
fn service_stops_below_the_reserve_and_resumes_above_a_higher_mark() {
    let gauge = SpaceGauge::new();
    let update = |available_bytes| {
        gauge.update(Space {
            available_bytes,
            total_bytes: 2_000,
        });
        gauge.has_room()
    };
    assert!(update(100));
    assert!(!update(99));
    assert!(!update(110));
    assert!(update(125));
    assert!(update(100));
}

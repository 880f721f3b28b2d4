use super::samples::{point, result};
use super::*;
use crate::result::Percentiles;

/// The number of elements and whether each is closed, for markup as this page writes it.
fn elements(html: &str) -> usize {
    const VOID: [&str; 2] = ["meta", "!DOCTYPE"];
    let (mut open, mut count) = (Vec::new(), 0);
    for part in html.split('<').skip(1) {
        let (tag, _) = part.split_once('>').expect("a tag ends");
        let name = tag.split([' ', '/']).next().unwrap_or_default();
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "closes what is open");
        } else if !VOID.contains(&name) && !tag.ends_with('/') {
            open.push(name.to_owned());
        }
        count += 1;
    }
    assert!(open.is_empty(), "left open: {open:?}");
    count
}

#[test]
fn the_page_is_well_formed_whole_and_needs_nothing_else() {
    let points = [100.0, 200.0, 400.0]
        .into_iter()
        .flat_map(|rate| [point("old", rate, 1000), point("new", rate, 2000)]);
    let html = html(&result(points.collect(), &["old", "new"]));
    assert!(elements(&html) > 100);
    for wanted in [
        "Response time against rate",
        "Response time by percentile",
        "Response time over time",
        "Throughput over time",
        "Memory of the server over time",
        "old p99",
        "new p50",
        "ringlog bench &#39;a b&#39;",
        "1024 B records, 1 connection, 1 partition, 400 requests/s, durability sync",
    ] {
        assert!(html.contains(wanted), "{wanted} is missing");
    }
    for unwanted in [
        "NaN", "inf", "http:", "https:", "<script", "@import", "url(",
    ] {
        assert!(!html.contains(unwanted), "{unwanted} is there");
    }
}

#[test]
fn what_comes_from_outside_is_no_markup() {
    let mut bad = point("<img src=x>&\"", 10.0, 1);
    bad.repetitions[0].invalid.push("<b>late</b>".to_owned());
    bad.summary.is_valid = false;
    let html = html(&result(vec![bad], &["<img src=x>&\""]));
    elements(&html);
    assert!(!html.contains("<img") && !html.contains("<b>"));
    assert!(html.contains("&lt;b&gt;late&lt;/b&gt;"));
    assert!(html.contains("class=\"invalid\""));
}

#[test]
fn nothing_measured_gives_a_page_without_plots() {
    let empty = html(&result(Vec::new(), &["ringlog"]));
    elements(&empty);
    assert!(!empty.contains("<polyline"));
    let mut silent = point("ringlog", 1.0, 1);
    silent.summary.response_ns = Percentiles::default();
    silent.repetitions[0].intervals.clear();
    let html = html(&result(vec![silent], &["ringlog"]));
    elements(&html);
    assert!(!html.contains("NaN"));
}

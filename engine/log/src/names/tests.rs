use std::path::Path;

use ringlog_record::Offset;

use super::{FileName, index_path, segment_path};

#[test]
fn names_are_read_as_they_are_written() {
    let (base, directory) = (Offset::new(1_234), Path::new("/d"));
    let segment = segment_path(directory, base);
    assert_eq!(segment, Path::new("/d/00000000000000001234.log"));
    let parse = |path: &Path| FileName::parse(path.file_name().unwrap().to_str().unwrap());
    assert_eq!(parse(&segment), Some(FileName::Segment(base)));
    assert_eq!(
        parse(&index_path(directory, base)),
        Some(FileName::Index(base))
    );
    assert_eq!(FileName::parse("next"), Some(FileName::Next));
    for other in [
        "",
        "1.log",
        "0000000000000000123x.log",
        "00000000000000001234.txt",
        "nexT",
        ".log",
    ] {
        assert_eq!(FileName::parse(other), None, "{other}");
    }
}

//! A fraction of a second of the raw programs, through the reports: counts and shapes, never times.

use std::time::Duration;

use ringlog_record::batch::BatchView;

use crate::produce::batch_of;
use crate::{BenchError, DeviceBench, Shape, Timing, device};

fn tiny(dir: &tempfile::TempDir, shapes: Vec<Shape>) -> DeviceBench {
    DeviceBench {
        shapes,
        record_bytes: vec![100, 4096],
        connections: vec![1, 2],
        dir: dir.path().to_owned(),
        timing: Timing {
            warm_up: Duration::from_millis(5),
            duration: Duration::from_millis(30),
            repetitions: 2,
        },
    }
}

#[test]
fn every_size_and_number_of_connections_gets_a_row_and_files_have_none() {
    let dir = tempfile::tempdir().unwrap();
    let mut told = 0;
    let bench = tiny(&dir, vec![Shape::TcpEcho, Shape::TcpOut]);
    let report = device(&bench, &mut |_| told += 1).unwrap();
    assert_eq!(report.rows.len(), 2 * 2 * 2);
    assert_eq!(told, report.rows.len() * 2);
    for row in &report.rows {
        assert!(row.requests_per_s.min > 0.0, "{row:?}");
        assert!(row.requests_per_s.min <= row.requests_per_s.median);
        assert!(row.requests_per_s.median <= row.requests_per_s.max);
        assert!(row.of_raw.is_none());
    }
    let load = report.conditions.iter().find(|(name, _)| name == "load");
    assert!(load.unwrap().1.contains("closed loop"));
}

#[test]
fn a_setting_that_a_raw_program_refuses_gives_no_figure() {
    let dir = tempfile::tempdir().unwrap();
    let bench = DeviceBench {
        record_bytes: vec![0],
        ..tiny(&dir, vec![Shape::TcpEcho])
    };
    let refused = device(&bench, &mut |_| {}).unwrap_err();
    assert!(matches!(refused, BenchError::Device(_)), "{refused}");
}

#[test]
fn a_batch_to_be_sent_holds_one_record_of_the_size_asked_for() {
    for record_bytes in [1, 1024, 4096] {
        let batch = batch_of(record_bytes).unwrap();
        let view = BatchView::parse(&batch).unwrap();
        assert!(view.crc_is_valid());
        let records: Vec<_> = view.records().map(|record| record.unwrap()).collect();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].value.unwrap().len(), record_bytes);
    }
    assert!(matches!(batch_of(8 << 20), Err(BenchError::Batch(_))));
}

use std::cell::Cell;

use super::*;

const TIMING: Timing = Timing {
    warm_up: Duration::from_millis(100),
    duration: Duration::from_millis(200),
    repetitions: 1,
};

/// Time stands still but for sleeping: the counts are exact.
fn in_virtual_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(work)
}

async fn run(took: Duration) -> (Measured, u32) {
    let sent = Cell::new(0);
    let request = async || {
        sent.set(sent.get() + 1);
        tokio::time::sleep(took).await;
        Ok(1000)
    };
    let begin = Instant::now();
    let measured = run_connection(TIMING, begin, request).await.unwrap();
    (measured, sent.get())
}

#[test]
fn the_next_request_waits_for_the_answer_and_only_the_window_counts() {
    in_virtual_time(async {
        let (measured, sent) = run(Duration::from_millis(10)).await;
        assert_eq!(sent, 30);
        assert_eq!(measured.requests, 20);
        assert_eq!(measured.bytes, 20_000);
        assert_eq!(measured.latency.len(), 20);
        let middle = measured.latency.value_at_quantile(0.5);
        assert!((9_990_000..10_020_000).contains(&middle), "{middle}");
    });
}

#[test]
fn a_request_that_ends_outside_of_the_window_belongs_to_no_measurement() {
    in_virtual_time(async {
        // Sent at 0, 150 and at the end of the window, 300: only the second is inside.
        let (measured, sent) = run(Duration::from_millis(150)).await;
        assert_eq!((sent, measured.requests), (2, 1));
    });
}

#[test]
fn rates_are_of_all_connections_together() {
    in_virtual_time(async {
        let (one, _) = run(Duration::from_millis(10)).await;
        let (other, _) = run(Duration::from_millis(10)).await;
        let figures = merge(vec![one, other], TIMING.duration).unwrap();
        assert!((figures.requests_per_s - 200.0).abs() < 1e-9);
        assert!((figures.bytes_per_s - 200_000.0).abs() < 1e-9);
        assert_eq!(figures.latency.len(), 40);
    });
}

#[test]
fn a_request_that_fails_ends_the_run_with_its_error_and_no_figure() {
    in_virtual_time(async {
        let failed = || ClientError::NotSent {
            address: "a".to_owned(),
            reason: "reset".to_owned(),
        };
        let begin = Instant::now();
        let ended = run_connection(TIMING, begin, async || Err(failed())).await;
        assert!(matches!(ended, Err(BenchError::Client(_))));
    });
}

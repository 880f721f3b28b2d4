use ringlog_wire::ErrorCode;

use super::*;

fn refused(code: ErrorCode) -> ClientError {
    ClientError::Refused {
        code,
        message: String::new(),
    }
}

fn lost() -> ClientError {
    ClientError::Lost {
        address: "a".to_owned(),
        reason: "reset".to_owned(),
    }
}

fn not_sent() -> ClientError {
    ClientError::NotSent {
        address: "a".to_owned(),
        reason: "reset".to_owned(),
    }
}

#[test]
fn what_may_have_been_carried_out_is_never_sent_again() {
    let now = Instant::now();
    let mut retry = Retry::until(now + Duration::from_secs(60));
    assert_eq!(retry.after(&lost(), now, 0), Verdict::Unknown);
    for &code in ErrorCode::ALL {
        let verdict = retry.after(&refused(code), now, 0);
        let is_unknown = code == ErrorCode::UnknownOutcome;
        assert_eq!(verdict == Verdict::Unknown, is_unknown, "{code}");
    }
}

#[test]
fn what_surely_was_not_is_sent_again_while_there_is_time() {
    let now = Instant::now();
    let mut retry = Retry::until(now + Duration::from_secs(60));
    for (error, metadata) in [
        (refused(ErrorCode::Throttled), Metadata::Keep),
        (refused(ErrorCode::NoSpace), Metadata::Keep),
        (refused(ErrorCode::NotLeader), Metadata::Refresh),
        (refused(ErrorCode::UnknownPartition), Metadata::Refresh),
        (not_sent(), Metadata::Refresh),
    ] {
        match retry.after(&error, now, 7) {
            Verdict::Again { metadata: then, .. } => assert_eq!(then, metadata, "{error}"),
            verdict => panic!("{error}: {verdict:?}"),
        }
    }
    let late = now + Duration::from_secs(60);
    assert_eq!(retry.left(late), None);
    assert_eq!(retry.after(&not_sent(), late, 7), Verdict::Expired);
    let never = refused(ErrorCode::BatchTooLarge);
    assert_eq!(retry.after(&never, now, 7), Verdict::Refused);
}

use tempfile::TempDir;

use super::*;

#[test]
fn this_machine_can_run_a_broker() {
    let dir = TempDir::new().unwrap();
    let findings = probe(dir.path());
    let names: Vec<_> = findings.iter().map(|finding| finding.name).collect();
    assert_eq!(
        names,
        [
            "kernel",
            "io_uring_disabled",
            "ring",
            "memlock",
            "open_files",
            "direct_io",
            "write_cache"
        ]
    );
    for finding in &findings {
        assert_ne!(finding.verdict, Verdict::Fail, "{finding:?}");
        assert!(finding.sentence.ends_with('.'), "{finding:?}");
    }
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
}

#[test]
fn a_directory_that_does_not_exist_yet_is_judged_by_its_parent() {
    let dir = TempDir::new().unwrap();
    let findings = probe(&dir.path().join("not/yet"));
    let direct = findings
        .iter()
        .find(|finding| finding.name == "direct_io")
        .unwrap();
    assert_ne!(direct.verdict, Verdict::Fail, "{direct:?}");
    assert!(!dir.path().join("not").exists());
    assert_eq!(
        nearest_existing(Path::new("surely-not-here")),
        Path::new(".")
    );
}

#[test]
fn kernels_are_judged_by_their_release() {
    for (release, verdict) in [
        ("6.1.0", Verdict::Ok),
        ("6.18.44-fc", Verdict::Ok),
        ("10.0-rc1", Verdict::Ok),
        ("6.0.19", Verdict::Fail),
        ("5.15.0-91-generic", Verdict::Fail),
        ("odd", Verdict::Warn),
    ] {
        assert_eq!(judge_kernel(release).verdict, verdict, "{release}");
    }
}

#[test]
fn the_sysctl_is_judged() {
    assert_eq!(judge_io_uring_disabled("0").verdict, Verdict::Ok);
    assert_eq!(judge_io_uring_disabled("1").verdict, Verdict::Warn);
    assert_eq!(judge_io_uring_disabled("2").verdict, Verdict::Fail);
}

#[test]
fn a_refused_ring_says_what_to_change() {
    let finding = judge_ring(Err(io::Error::from_raw_os_error(libc::EPERM)));
    assert_eq!(finding.verdict, Verdict::Fail);
    assert!(finding.sentence.contains("seccomp"), "{}", finding.sentence);
    let finding = judge_ring(Err(io::Error::from_raw_os_error(libc::ENOMEM)));
    assert!(finding.sentence.contains("memlock"), "{}", finding.sentence);
}

#[test]
fn memlock_below_the_minimum_is_a_warning() {
    assert_eq!(judge_memlock(64 << 10).verdict, Verdict::Warn);
    assert_eq!(judge_memlock(8 << 20).verdict, Verdict::Ok);
    assert!(
        judge_memlock(libc::RLIM_INFINITY)
            .sentence
            .contains("unlimited")
    );
}

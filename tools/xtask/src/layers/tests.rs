use super::*;
use crate::workspace::Dependency;

fn depends(folder: &str, on: &str) -> Findings {
    let crates: Vec<Crate> = ALLOWED
        .iter()
        .map(|(name, _)| Crate {
            name: format!("ringlog-{}", name.replace('/', "-")),
            folder: (*name).to_owned(),
            dependencies: Vec::from_iter((*name == folder).then(|| Dependency {
                name: on.to_owned(),
                for_tests_only: false,
            })),
        })
        .collect();
    check_dependencies(&crates)
}

#[test]
fn a_dependency_against_the_flow_is_found() {
    assert_eq!(
        depends("engine/log", "ringlog-engine-record"),
        Findings::new()
    );
    assert_eq!(
        depends("engine/log", "ringlog-net-wire"),
        ["engine/log: may not depend on net/wire"]
    );
}

#[test]
fn a_package_outside_its_owner_is_found() {
    assert_eq!(depends("engine/reactor", "io-uring"), Findings::new());
    assert_eq!(depends("net/server", "io-uring").len(), 1);
    assert_eq!(depends("net/client", "flatbuffers").len(), 1);
}

#[test]
fn the_allowed_dependencies_have_no_cycle() {
    // A crate may only depend on crates whose own dependencies are all settled before it.
    let mut settled: Vec<&str> = Vec::new();
    while settled.len() < ALLOWED.len() {
        let next = ALLOWED.iter().find(|(name, allowed)| {
            !settled.contains(name) && allowed.iter().all(|on| settled.contains(on))
        });
        settled.push(
            next.expect("a cycle, or a folder that is not in the table")
                .0,
        );
    }
}

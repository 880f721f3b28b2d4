//! Which processor asks and which serves: the same for the broker and the raw program.

use std::sync::OnceLock;

use ringlog_device::Placement;

/// The generator on the first processor, where `ringlog broker --cores auto` leaves it, the server on the last one.
///
/// Found out once, before anything is pinned: a thread that is pinned sees its own processor only.
pub(crate) fn placement() -> Placement {
    static PLACEMENT: OnceLock<Placement> = OnceLock::new();
    *PLACEMENT.get_or_init(|| {
        let usual = Placement::first_and_last();
        Placement {
            server_cpu: usual.client_cpu,
            client_cpu: usual.server_cpu,
        }
    })
}

/// Pins the calling thread to the generator's processor, and says whether that was done.
pub(crate) fn pin_generator() -> bool {
    placement()
        .client_cpu
        .is_some_and(|cpu| core_affinity::set_for_current(core_affinity::CoreId { id: cpu }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinning_the_generator_changes_no_placement() {
        let before = placement();
        let is_pinned = pin_generator();
        assert_eq!(is_pinned, before.client_cpu.is_some());
        assert_eq!(placement(), before);
        if is_pinned {
            let seen = core_affinity::get_core_ids().unwrap();
            assert_eq!(seen.len(), 1, "a thread sees its own processor");
        }
    }
}

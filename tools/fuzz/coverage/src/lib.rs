//! What makes a fuzz target of libFuzzer out of a [`ringlog_fuzz::Target`].

pub use libfuzzer_sys;
pub use ringlog_fuzz;

/// Gives what libFuzzer makes up to the target. Half of its changes have their checksums made right again, so that
/// they get past them.
#[macro_export]
macro_rules! guided {
    ($target:expr) => {
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            ($target.run)(data);
        });

        $crate::libfuzzer_sys::fuzz_mutator!(
            |data: &mut [u8], size: usize, max_size: usize, seed: u32| {
                let size = $crate::libfuzzer_sys::fuzzer_mutate(data, size, max_size);
                if seed & 1 == 0 {
                    ($target.seal)(&mut data[..size]);
                }
                size
            }
        );
    };
}

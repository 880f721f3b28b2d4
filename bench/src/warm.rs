//! Warming memory: a virtual machine may have given free pages back to its host, and getting them again is ten times
//! as slow as using them. Whatever is measured first would pay for all.

use std::hint::black_box;

/// Bytes of a page, or fewer: each page is touched at least once.
const PAGE_BYTES: usize = 4096;

/// Part of the memory that is left alone, so that nothing has to be taken from others.
const LEFT_ALONE: u64 = 2;

/// Touches up to `bytes` of free memory and gives them back; says how many were touched.
pub(crate) fn warm_memory(bytes: u64) -> u64 {
    let available = procfs::Current::current()
        .ok()
        .and_then(|info: procfs::Meminfo| info.mem_available);
    let bytes = bytes.min(available.unwrap_or(0) / LEFT_ALONE);
    let Ok(len) = usize::try_from(bytes) else {
        return 0;
    };
    let mut memory = vec![0_u8; len];
    for page in memory.chunks_mut(PAGE_BYTES) {
        page[0] = 1;
    }
    black_box(&memory);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_touches_what_is_asked_for_and_never_all_there_is() {
        assert_eq!(warm_memory(0), 0);
        assert_eq!(warm_memory(1 << 20), 1 << 20);
    }
}

//! How many files and sockets the process may have open.

use std::io;

use super::probe::{Finding, Verdict};

/// Fewer than this do not serve many partitions and connections at a time.
const DESCRIPTORS_WANTED: u64 = 16_384;

/// How many files and sockets may be open at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorLimit {
    /// Now.
    pub soft: u64,
    /// As many as the process may allow itself.
    pub hard: u64,
}

/// The limit of this process.
///
/// # Errors
///
/// What the system says.
pub fn descriptor_limit() -> io::Result<DescriptorLimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the destination is an rlimit.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(DescriptorLimit {
        soft: limit.rlim_cur,
        hard: limit.rlim_max,
    })
}

/// Raises the limit of this process as far as it may; gives how many files and sockets may be open then.
///
/// # Errors
///
/// What the system says; the limit is what it was then.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let DescriptorLimit { soft, hard } = descriptor_limit()?;
    if soft >= hard {
        return Ok(soft);
    }
    let limit = libc::rlimit {
        rlim_cur: hard,
        rlim_max: hard,
    };
    // SAFETY: the source is an rlimit.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    match result {
        0 => Ok(hard),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What the limit is good for.
pub(super) fn finding() -> Finding {
    match descriptor_limit() {
        Ok(limit) => judge(limit),
        Err(error) => Finding {
            name: NAME,
            verdict: Verdict::Warn,
            sentence: format!("The limit of open files could not be read ({error})."),
        },
    }
}

const NAME: &str = "open_files";

fn judge(limit: DescriptorLimit) -> Finding {
    let DescriptorLimit { soft, hard } = limit;
    let (verdict, advice) = if hard >= DESCRIPTORS_WANTED {
        (Verdict::Ok, String::new())
    } else {
        let advice = format!(
            "; for many partitions and connections raise the hard limit to {DESCRIPTORS_WANTED} (ulimit -Hn, LimitNOFILE=)"
        );
        (Verdict::Warn, advice)
    };
    let sentence = format!(
        "{hard} files and sockets may be open at a time, {soft} before a broker raises its limit{advice}."
    );
    Finding {
        name: NAME,
        verdict,
        sentence,
    }
}

#[cfg(test)]
mod tests;

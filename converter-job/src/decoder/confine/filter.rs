//! The system calls that a decoder may still make.
//!
//! Its way in and its ways out are open pipes, so it needs memory, its threads, and an end. Any other
//! call ends the process with SIGSYS, whichever thread makes it. Only what libraries do by habit, and
//! get on without, is refused and survived.

use libc::{
    F_GETFD, PROT_EXEC, SIGBUS, SIGSEGV, SYS_brk, SYS_clock_gettime, SYS_close, SYS_exit,
    SYS_exit_group, SYS_fcntl, SYS_futex, SYS_getpid, SYS_getrandom, SYS_gettid, SYS_ioctl,
    SYS_madvise, SYS_mmap, SYS_mprotect, SYS_mremap, SYS_munmap, SYS_openat, SYS_pread64, SYS_read,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sched_getaffinity, SYS_sched_yield,
    SYS_sigaltstack, SYS_tgkill, SYS_write,
};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp,
    SeccompCondition, SeccompFilter, SeccompRule, apply_filter_all_threads,
};
use std::{env::consts::ARCH, io, process};

/// Allowed whatever their arguments are.
const ALLOWED: &[i64] = &[
    // The pipes, and the status of this process.
    SYS_read,
    SYS_write,
    SYS_pread64,
    SYS_close,
    // Memory, but for what could be run.
    SYS_brk,
    SYS_munmap,
    SYS_mremap,
    SYS_madvise,
    // Threads that wait for one another; an allocator counts cores.
    SYS_futex,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    // Seeds of hash tables and of FFmpeg.
    SYS_getrandom,
    SYS_clock_gettime,
    // Ends, abort(3) among them.
    SYS_exit,
    SYS_exit_group,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_getpid,
    SYS_gettid,
];

/// Refused and survived: the C library looks for the character sets that a transport stream names, and
/// FFmpeg for a terminal that its messages could be coloured for.
const REFUSED: &[i64] = &[SYS_openat, SYS_ioctl];

/// Puts every thread of this process under the filter, for good.
pub(super) fn apply() -> io::Result<()> {
    // Of two filters the stricter answer counts. Nothing can be added under the second.
    let programs = refusing().and_then(|refusing| Ok([refusing, allowing()?]));
    for program in programs.map_err(io::Error::other)? {
        apply_filter_all_threads(&program).map_err(|error| {
            io::Error::other(format!(
                "its system calls cannot be filtered: {error}; the kernel needs \
                CONFIG_SECCOMP_FILTER, and a container must allow seccomp(2)"
            ))
        })?;
    }
    Ok(())
}

/// Refuses a few calls and has no opinion on others.
fn refusing() -> Result<BpfProgram, BackendError> {
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let rules = REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    SeccompFilter::new(rules, SeccompAction::Allow, refused, ARCH.try_into()?)?.try_into()
}

/// Ends the process for any call that is not listed.
fn allowing() -> Result<BpfProgram, BackendError> {
    let calls = ALLOWED.iter().chain(REFUSED).map(|call| (*call, Vec::new()));
    let rules = calls.chain(conditional()?).collect();
    let dead = SeccompAction::KillProcess;
    SeccompFilter::new(rules, dead, SeccompAction::Allow, ARCH.try_into()?)?.try_into()
}

/// Allowed with these arguments.
fn conditional() -> Result<[(i64, Vec<SeccompRule>); 5], BackendError> {
    let equal = |argument, value| rule(argument, SeccompCmpOp::Eq, value);
    let never_run = || rule(2, SeccompCmpOp::MaskedEq(PROT_EXEC as u64), 0);
    Ok([
        (SYS_mmap, vec![never_run()?]),
        (SYS_mprotect, vec![never_run()?]),
        // Builds with debug assertions look at a file before they close it.
        (SYS_fcntl, vec![equal(1, F_GETFD as u64)?]),
        // A fault ends the process by the default action, which Rust's handler puts back.
        (SYS_rt_sigaction, vec![equal(0, SIGSEGV as u64)?, equal(0, SIGBUS as u64)?]),
        (SYS_tgkill, vec![equal(0, process::id().into())?]),
    ])
}

/// Of each of these arguments the kernel, too, looks at its lower half.
fn rule(argument: u8, compare: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, Dword, compare, value)?])
}

//! Single calls that a decoder which has been taken over may try.

use libc::{
    AF_INET, AF_UNIX, AT_FDCWD, CLONE_NEWUSER, F_SETFL, MAP_ANONYMOUS, MAP_PRIVATE, O_CREAT,
    O_RDWR, PR_SET_DUMPABLE, PROT_EXEC, PROT_READ, PTRACE_TRACEME, SIGCHLD, SIGTERM, SOCK_STREAM,
};
use std::{ffi::CStr, os::unix::process::parent_id};

/// A system call, its number and its arguments.
pub(super) type Call = (&'static str, i64, [i64; 6]);

fn text(text: &'static CStr) -> i64 {
    text.as_ptr() as i64
}

fn call(name: &'static str, number: i64, given: &[i64]) -> Call {
    let mut arguments = [0; 6];
    arguments[..given.len()].copy_from_slice(given);
    (name, number, arguments)
}

/// Survived, and not done.
pub(super) fn refused() -> Vec<Call> {
    let at = i64::from(AT_FDCWD);
    let create = i64::from(O_CREAT | O_RDWR);
    vec![
        call("read a file", libc::SYS_openat, &[at, text(c"/etc/passwd")]),
        call("read the environment", libc::SYS_openat, &[at, text(c"/proc/self/environ")]),
        call("make a file", libc::SYS_openat, &[at, text(c"made"), create, 0o666]),
        call("type into a terminal", libc::SYS_ioctl, &[0, libc::TIOCSTI as i64, text(c"x")]),
    ]
}

/// What files and other machines are for.
pub(super) fn outside() -> Vec<Call> {
    let at = i64::from(AT_FDCWD);
    let stream = i64::from(SOCK_STREAM);
    vec![
        #[cfg(target_arch = "x86_64")]
        call("open", libc::SYS_open, &[text(c"/etc/passwd")]),
        call("openat2", libc::SYS_openat2, &[at, text(c"/etc/passwd")]),
        call("stat", libc::SYS_newfstatat, &[at, text(c"victim"), text(c"")]),
        call("unlink", libc::SYS_unlinkat, &[at, text(c"victim")]),
        call("chmod", libc::SYS_fchmodat, &[at, text(c"victim")]),
        call("getdents", libc::SYS_getdents64, &[0]),
        call("mount", libc::SYS_mount, &[]),
        call("memfd_create", libc::SYS_memfd_create, &[text(c"memory")]),
        call("sendfile", libc::SYS_sendfile, &[1, 0]),
        call("set flags", libc::SYS_fcntl, &[1, F_SETFL.into()]),
        call("TCP socket", libc::SYS_socket, &[AF_INET.into(), stream]),
        call("UNIX socket", libc::SYS_socket, &[AF_UNIX.into(), stream]),
        call("socket pair", libc::SYS_socketpair, &[AF_UNIX.into(), stream]),
        call("connect", libc::SYS_connect, &[0]),
        call("io_uring", libc::SYS_io_uring_setup, &[1]),
    ]
}

/// What touches programs, processes and the kernel.
pub(super) fn powers() -> Vec<Call> {
    let parent = i64::from(parent_id());
    let child = i64::from(SIGCHLD);
    let anonymous = i64::from(MAP_PRIVATE | MAP_ANONYMOUS);
    let run = i64::from(PROT_READ | PROT_EXEC);
    vec![
        call("execve", libc::SYS_execve, &[text(c"/bin/true")]),
        call("execveat", libc::SYS_execveat, &[AT_FDCWD.into(), text(c"/bin/true")]),
        #[cfg(target_arch = "x86_64")]
        call("fork", libc::SYS_fork, &[]),
        #[cfg(target_arch = "x86_64")]
        call("vfork", libc::SYS_vfork, &[]),
        call("clone", libc::SYS_clone, &[child]),
        call("clone3", libc::SYS_clone3, &[]),
        call("kill", libc::SYS_kill, &[parent, 0]),
        call("tgkill", libc::SYS_tgkill, &[parent, parent, 0]),
        call("tkill", libc::SYS_tkill, &[parent, 0]),
        call("sigqueue", libc::SYS_rt_sigqueueinfo, &[parent, 0]),
        call("pidfd_open", libc::SYS_pidfd_open, &[parent]),
        call("pidfd_send_signal", libc::SYS_pidfd_send_signal, &[0, 0]),
        call("ptrace", libc::SYS_ptrace, &[PTRACE_TRACEME.into()]),
        call("process_vm_readv", libc::SYS_process_vm_readv, &[parent]),
        call("handle SIGTERM", libc::SYS_rt_sigaction, &[SIGTERM.into(), 0, 0, 8]),
        call("map code", libc::SYS_mmap, &[0, 4096, run, anonymous, -1]),
        call("make code", libc::SYS_mprotect, &[0, 0, run]),
        #[cfg(target_arch = "x86_64")]
        call("make code with a key", libc::SYS_pkey_mprotect, &[0, 0, run, -1]),
        call("prctl", libc::SYS_prctl, &[PR_SET_DUMPABLE.into(), 1]),
        call("seccomp", libc::SYS_seccomp, &[]),
        call("setrlimit", libc::SYS_prlimit64, &[0, libc::RLIMIT_CORE.into()]),
        call("unshare", libc::SYS_unshare, &[CLONE_NEWUSER.into()]),
        call("bpf", libc::SYS_bpf, &[]),
        call("userfaultfd", libc::SYS_userfaultfd, &[]),
        call("perf_event_open", libc::SYS_perf_event_open, &[]),
        call("keyctl", libc::SYS_keyctl, &[]),
        call("no such call", 9999, &[]),
    ]
}

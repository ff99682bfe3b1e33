"""The filter of system calls, as BPF for `bwrap --seccomp`. Namespaces alone leave the kernel's surface open.

A list of what is denied: a call that a later kernel adds is allowed until it stands here. Calls of other
ABIs (i386, x32) kill the process, which is libseccomp's default.
"""

import errno
import tempfile
from functools import cache

# fmt: off
DENIED = (
    "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "bpf", "perf_event_open",
    "keyctl", "add_key", "request_key", "ptrace", "process_vm_readv", "process_vm_writev",
    "process_madvise", "kcmp", "pidfd_getfd", "unshare", "setns", "mount", "umount2", "move_mount",
    "open_tree", "open_tree_attr", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
    "pivot_root", "chroot", "statmount", "listmount", "kexec_load", "kexec_file_load", "init_module",
    "finit_module", "delete_module", "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd",
    "syslog", "personality", "lookup_dcookie", "name_to_handle_at", "open_by_handle_at", "fanotify_init",
    "vhangup", "iopl", "ioperm", "modify_ldt", "uselib", "nfsservctl", "settimeofday", "clock_settime",
    "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex", "sethostname", "setdomainname",
    "landlock_create_ruleset", "mbind", "migrate_pages", "move_pages", "set_mempolicy",
    "set_mempolicy_home_node",
)
UNCOUNTED_MEMORY = (
    "memfd_create", "memfd_secret", "shmget", "shmat", "shmctl", "msgget",
)
# fmt: on
"""Held neither by a process nor by a file: no limit of ours would see it."""
NEW_USER_NAMESPACE = 0x10000000
TYPING_INTO_TERMINALS = {"TIOCSTI": 0x5412, "TIOCLINUX": 0x541C}
SOCKETS = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
FAMILIES = range(64)


@cache
def seccomp_filter() -> bytes:
    """About a kilobyte for this machine's architecture. Raises ImportError or OSError without libseccomp."""
    import pyseccomp as sc  # noqa: PLC0415 -- looks for the C library, which takes 50 ms

    rules = sc.SyscallFilter(defaction=sc.ALLOW)
    denied = sc.ERRNO(errno.EPERM)
    for name in (*DENIED, *UNCOUNTED_MEMORY):
        try:
            rules.add_rule(denied, name)
        except (ValueError, OSError):
            continue  # neither this libseccomp nor this architecture knows it
    rules.add_rule(denied, "clone", sc.Arg(0, sc.MASKED_EQ, NEW_USER_NAMESPACE, NEW_USER_NAMESPACE))
    # Its flags lie behind a pointer, which a filter cannot follow; C libraries then fall back to clone.
    rules.add_rule(sc.ERRNO(errno.ENOSYS), "clone3")
    for request in TYPING_INTO_TERMINALS.values():
        rules.add_rule(denied, "ioctl", sc.Arg(1, sc.MASKED_EQ, 0xFFFFFFFF, request))
    # The kernel looks at the lower half of these numbers: a filter that looks at the whole can be fooled.
    for family in FAMILIES:
        if family not in SOCKETS.values():
            for call in ("socket", "socketpair"):
                rules.add_rule(
                    sc.ERRNO(errno.EAFNOSUPPORT), call, sc.Arg(0, sc.MASKED_EQ, 0xFFFFFFFF, family)
                )
    with tempfile.TemporaryFile() as out:
        rules.export_bpf(out)
        out.seek(0)
        return out.read()

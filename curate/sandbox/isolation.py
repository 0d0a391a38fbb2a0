"""Walls around processes that run code nobody has read: Linux namespaces, an empty root, no rights, few system calls.

`isolate(folders)` takes a young process out of the machine; `confine(...)` is the last thing a forked child does
before it runs such code. Both raise OSError where the kernel refuses, and never settle for less.

Only the standard library is imported: this runs in a bare interpreter.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
from collections.abc import Iterable
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)

_NEW_MOUNTS, _NEW_NAMES, _NEW_IPC, _NEW_USERS = 0x00020000, 0x04000000, 0x08000000, 0x10000000
_NEW_PROCESSES, _NEW_NETWORK = 0x20000000, 0x40000000
_ANY_NEW = 0x7E020000  # every CLONE_NEW* flag that clone takes; its lowest byte is a signal
_NOSUID, _NODEV, _NOEXEC, _BIND, _RECURSIVE, _PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_DETACH = 2
_SYS_MOUNT_SETATTR = 442  # one number on every architecture
_DIE_WITH_PARENT, _DUMPABLE, _DROP_BOUND, _NO_NEW_RIGHTS, _SECCOMP = 1, 4, 24, 38, 22
_NOBODY = 65534

# Names, and their numbers on x86_64 and aarch64. Forbidden is what escapes a limit (memory in a memfd or a shared
# segment is counted to nobody), what makes new namespaces, and what looks into another process.
_FORBIDDEN = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
}
_CLONE, _CLONE3, _SOCKET = (56, 220), (435, 435), (41, 198)
_AUDIT = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "arm64": (1, 0xC00000B7)}


def isolate(folders: Iterable[str]) -> None:
    """Users, mounts, process numbers, network, names and IPC of its own; of the disk only `folders`, to be read.

    The next fork is process 1 of a world in which nothing else runs. `/tmp` is an empty folder for
    `fresh_tmp`.
    """
    architecture()
    spaces = _NEW_MOUNTS | _NEW_NAMES | _NEW_IPC | _NEW_PROCESSES | _NEW_NETWORK
    # Root needs no user namespace to mount, and could not read its own folders from inside one as somebody else.
    root = os.geteuid() == 0 and _is_user(_NOBODY)
    proc = os.open("/proc/self", os.O_DIRECTORY)
    if root:
        _unshare(spaces)
    else:
        user, group = os.geteuid(), os.getegid()
        _unshare(spaces | _NEW_USERS)
        _map_ids(proc, user, group)
    real = [os.path.realpath(folder) for folder in folders]
    if any(Path(folder).is_relative_to("/tmp") for folder in real):
        raise OSError("Python's own library lies in /tmp, where programs write")
    _minimal_root(real)
    if root:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        _prctl(_DUMPABLE, 1)  # else the files of /proc/self belong to the root that we no longer are
        # The limit on processes does not hold for root, and counts within a user namespace.
        _unshare(_NEW_USERS | _NEW_MOUNTS)
        _map_ids(proc, _NOBODY, _NOBODY)
    os.close(proc)


def architecture() -> tuple[int, int]:
    """Column of the system call numbers, and the kernel's name of this architecture. Raises OSError for others."""
    machine = platform.machine()
    if machine not in _AUDIT or ctypes.sizeof(ctypes.c_void_p) != 8:
        raise OSError(f"its system calls are known for x86_64 and aarch64, not for {machine}")
    return _AUDIT[machine]


def fresh_tmp(size: int) -> None:
    """`/tmp` as an empty folder in memory that holds at most `size` bytes and 1,000 files."""
    _mount("tmpfs", "/tmp", "tmpfs", _NOSUID | _NODEV | _NOEXEC, f"size={size},nr_inodes=1000,mode=777")


def drop_tmp() -> None:
    """The folder of `fresh_tmp` is gone, whatever lies in it."""
    _check(_libc.umount2(b"/tmp", _DETACH), "umount /tmp")


def unreadable() -> None:
    """No other process of the same user may look into this one and those it forks."""
    _prctl(_DUMPABLE, 0)


def die_with_parent() -> None:
    """The kernel kills this process when its parent is gone."""
    _prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def check_processes_are_limited() -> None:
    """Raises OSError where the limit on processes does not hold, as for the machine's root under another name."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
            os.fork()
        except BlockingIOError:
            status = 0
        finally:
            os._exit(status)
    if os.waitpid(child, 0)[1] != 0:
        raise OSError("its limit on processes does not hold for this user")


def confine(memory: int, processes: int, file_bytes: int, seconds: float) -> None:
    """No rights, few system calls, and limits; for a process forked after `isolate`, and all that it forks.

    `memory`: bytes of address space beyond what the process has now; `processes`: its user may have, threads
    counted; `file_bytes`: of one file; `seconds`: of processor time, after which SIGPROF ends it.
    """
    limits = {
        resource.RLIMIT_AS: memory,
        resource.RLIMIT_NPROC: processes,
        resource.RLIMIT_FSIZE: file_bytes,
        resource.RLIMIT_NOFILE: 64,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_STACK: 8 << 20,
        resource.RLIMIT_CPU: int(seconds) + 2,
    }
    for which, most in limits.items():
        resource.setrlimit(which, (most, most))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    _prctl(_NO_NEW_RIGHTS, 1)
    for right in range(64):
        if _libc.prctl(_DROP_BOUND, right, 0, 0, 0) != 0:
            break  # the last one the kernel knows
    header = struct.pack("=Ii", 0x20080522, 0)
    _check(_libc.capset(header, bytes(24)), "capset")
    _few_system_calls()


def _minimal_root(folders: list[str]) -> None:
    _check(_libc.mount(None, b"/", None, _RECURSIVE | _PRIVATE, None), "mount private /")
    opened = [os.open(folder, os.O_PATH | os.O_DIRECTORY) for folder in folders]
    _mount("tmpfs", "/tmp", "tmpfs", _NOSUID | _NODEV, "size=1m,nr_inodes=10000,mode=755")
    for folder, source in zip(folders, opened, strict=True):
        target = f"/tmp/{folder}"
        Path(target).mkdir(parents=True, exist_ok=True)
        _mount(f"/proc/self/fd/{source}", target, None, _BIND | _RECURSIVE, None)
        _read_only(target, recursive=True)
        os.close(source)
        for packages in ("site-packages", "dist-packages"):  # nothing but the standard library
            if Path(target, packages).is_dir():
                _mount("tmpfs", f"{target}/{packages}", "tmpfs", _NOSUID | _NODEV, "size=4k,mode=555")
    Path("/tmp/tmp").mkdir()
    os.chdir("/tmp")
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _DETACH), "umount the old root")
    os.chdir("/")
    _read_only("/", recursive=False)


def _read_only(target: str, recursive: bool) -> None:
    wanted = struct.pack("=QQQQ", 1 | _NOSUID | _NODEV, 0, 0, 0)
    at = 0x8000 if recursive else 0
    _check(_libc.syscall(_SYS_MOUNT_SETATTR, -100, target.encode(), at, wanted, len(wanted)), f"read-only {target}")


def _map_ids(proc: int, user: int, group: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        file = os.open(name, os.O_WRONLY, dir_fd=proc)
        os.write(file, text.encode())
        os.close(file)


def _is_user(number: int) -> bool:
    """Whether such a user can be in the present user namespace."""
    ranges = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(int(first) <= number < int(first) + int(many) for first, _, many in ranges)


def _few_system_calls() -> None:
    column, machine = architecture()
    refuse = 0x00050000 | 1  # EPERM
    # fmt: off
    program = [
        (0x20, 0, 0, 4),                                                   # the architecture
        (0x15, 1, 0, machine), (0x06, 0, 0, 0x80000000),                   # another one: killed
        (0x20, 0, 0, 0),                                                   # the number
        (0x35, 0, 1, 0x40000000), (0x06, 0, 0, refuse),                    # x32
        (0x15, 0, 1, _CLONE3[column]), (0x06, 0, 0, 0x00050000 | 38),      # ENOSYS: the C library takes clone
    ]
    for numbers in _FORBIDDEN.values():
        program += [(0x15, 0, 1, numbers[column]), (0x06, 0, 0, refuse)]
    program += [
        (0x15, 0, 4, _CLONE[column]), (0x20, 0, 0, 16),                    # clone: no flag for a namespace
        (0x45, 0, 1, _ANY_NEW), (0x06, 0, 0, refuse), (0x20, 0, 0, 0),
        (0x15, 0, 3, _SOCKET[column]), (0x20, 0, 0, 16),                   # socket: within the machine only (AF_UNIX)
        (0x15, 1, 0, 1), (0x06, 0, 0, refuse),
        (0x06, 0, 0, 0x7FFF0000),                                          # allowed
    ]
    # fmt: on
    code = b"".join(struct.pack("=HBBI", *line) for line in program)
    kept = ctypes.create_string_buffer(code)
    filter = struct.pack("@HP", len(program), ctypes.addressof(kept))
    _check(_libc.prctl(_SECCOMP, 2, filter, 0, 0), "seccomp")


def _unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None) -> None:
    said = _libc.mount(
        source.encode(), target.encode(), kind and kind.encode(), ctypes.c_ulong(flags), data and data.encode()
    )
    _check(said, f"mount {target}")


def _prctl(what: int, value: int) -> None:
    _check(_libc.prctl(what, value, 0, 0, 0), "prctl")


def _check(said: int, what: str) -> None:
    if said != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")

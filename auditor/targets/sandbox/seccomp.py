"""Seccomp filter: system calls that a process with an open artifact may not make.

libseccomp's bindings need a library that slim images lack, so the few instructions are written
out. Numbers are from the kernel's ``syscall_64.tbl`` and ``asm-generic/unistd.h``.
"""

import ctypes
import errno
import os
import platform
import struct

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, JUMP_EQUAL, JUMP_GREATER, JUMP_SET, AND, RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # places in struct seccomp_data, little-endian
ALLOWED, KILLED, REFUSED = 0x7FFF0000, 0x80000000, 0x00050000
NEWEST = 466
"""The newest call that was looked at: later ones are not there."""
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

CLONE_THREAD = 0x00010000
NAMESPACES = 0x7E020080  # CLONE_NEWTIME, NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
EVERYBODY = 0xFFFFFFFF  # kill(-1)
WRITING = 0o3 | 0o100 | 0o1000  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC

ALWAYS = """
socket 41 198,connect 42 203,bind 49 200,listen 50 201,accept 43 202,accept4 288 242,
ptrace 101 117,process_vm_readv 310 270,process_vm_writev 311 271,kcmp 312 272,
pidfd_open 434 434,pidfd_getfd 438 438,pidfd_send_signal 424 424,process_madvise 440 440,
process_mrelease 448 448,tkill 200 130,rt_sigqueueinfo 129 138,rt_tgsigqueueinfo 297 240,
setsid 112 157,setpgid 109 154,setpriority 141 140,ioprio_set 251 30,
unshare 272 97,setns 308 268,mount 165 40,umount2 166 39,pivot_root 155 41,chroot 161 51,
open_tree 428 428,move_mount 429 429,fsopen 430 430,fsconfig 431 431,fsmount 432 432,
fspick 433 433,mount_setattr 442 442,io_uring_setup 425 425,io_uring_enter 426 426,
io_uring_register 427 427,bpf 321 280,perf_event_open 298 241,userfaultfd 323 282,
add_key 248 217,request_key 249 218,keyctl 250 219,name_to_handle_at 303 264,
open_by_handle_at 304 265,init_module 175 105,finit_module 313 273,delete_module 176 106,
kexec_load 246 104,kexec_file_load 320 294,reboot 169 142,swapon 167 224,swapoff 168 225,
acct 163 89,quotactl 179 60,quotactl_fd 443 443,settimeofday 164 170,clock_settime 227 112,
adjtimex 159 171,clock_adjtime 305 266,sethostname 170 161,setdomainname 171 162,
syslog 103 116,iopl 172 -,ioperm 173 -,fanotify_init 300 262,shmget 29 194,msgget 68 186,
semget 64 190,mq_open 240 180
"""
"""Sockets, other processes, leaving the own group, namespaces, and the machine itself."""
PROCESSES = "fork 57 -,vfork 58 -,execve 59 221,execveat 322 281"
ATTRIBUTES = """
chmod 90 -,fchmod 91 52,fchmodat 268 53,fchmodat2 452 452,chown 92 -,lchown 94 -,fchown 93 55,
fchownat 260 54,utime 132 -,utimes 235 -,futimesat 261 -,utimensat 280 88,setxattr 188 5,
lsetxattr 189 6,fsetxattr 190 7,removexattr 197 14,lremovexattr 198 15,fremovexattr 199 16,
setxattrat 463 463,removexattrat 466 466
"""
TREE = """
unlink 87 -,unlinkat 263 35,rename 82 -,renameat 264 38,renameat2 316 276,mkdir 83 -,
mkdirat 258 34,rmdir 84 -,link 86 -,linkat 265 37,symlink 88 -,symlinkat 266 36,truncate 76 45,
mknod 133 -,mknodat 259 33,creat 85 -
"""
CLONE, CLONE3 = (56, 220), 435
SOCKETPAIR, OPENAT2 = (53, 199), 437
OPENS = ("open 2 -", 1), ("openat 257 56", 2)
"""With which of their arguments says what for."""
KILL, TGKILL, PRLIMIT = (62, 129), (234, 131), (302, 261)


def install_filter(*, alone: bool, attributes: bool, tree: bool, signals: bool) -> bool:
    """Hold this process, and what it starts, to the filter; say whether the kernel took it.

    ``alone``: it starts no other process and no other program. ``attributes``, ``tree``: it
    changes neither those of a file nor where files lie, where nothing else sees to that.
    ``signals``: it may send them, because something else sees to whom.
    """
    machine = platform.machine()
    if machine not in ARCHITECTURES or ctypes.sizeof(ctypes.c_void_p) != struct.calcsize("q"):
        return False
    code = _program(machine, alone=alone, attributes=attributes, tree=tree, signals=signals)
    held = ctypes.create_string_buffer(code, len(code))
    asked = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(held))
    try:
        library = ctypes.CDLL(None, use_errno=True)
        done = library.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.c_char_p(asked), 0, 0)
    except (OSError, AttributeError):
        return False
    return int(done) == 0


def _program(machine: str, *, alone: bool, attributes: bool, tree: bool, signals: bool) -> bytes:
    column = list(ARCHITECTURES).index(machine)
    lists = [ALWAYS, PROCESSES * alone, ATTRIBUTES * attributes, TREE * tree]
    code = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, KILLED),
        (LOAD, 0, 0, NUMBER),
        (JUMP_GREATER, 0, 1, NEWEST),
        (RETURN, 0, 0, REFUSED | errno.ENOSYS),
    ]
    for number in (CLONE3, OPENAT2):  # what they ask lies in memory, where no filter can look
        code += _if(number, [(RETURN, 0, 0, REFUSED | errno.ENOSYS)])
    for number in _numbers(",".join(lists), column):
        code += _if(number, [_REFUSE])
    pid = os.getpid()
    code += _if(CLONE[column], [*_unless_set(0, NAMESPACES), *(_THREADS * alone), _ALLOW])
    code += _if(SOCKETPAIR[column], [_argument(1), (AND, 0, 0, 0xF), *_only(1)])
    code += _if(PRLIMIT[column], [_argument(0), (JUMP_EQUAL, 1, 0, 0), *_only(pid)])
    for call in () if signals else (KILL, TGKILL):
        code += _if(call[column], [_argument(0), *_only(pid)])
    if signals:
        all_of_them = [_argument(0), (JUMP_EQUAL, 0, 1, EVERYBODY), _REFUSE, _ALLOW]
        code += _if(KILL[column], all_of_them)
    for opening, place in OPENS if tree else ():
        for number in _numbers(opening, column):
            code += _if(number, [*_unless_set(place, WRITING), _ALLOW])
    return b"".join(struct.pack("HBBI", *line) for line in [*code, _ALLOW])


_Line = tuple[int, int, int, int]
_ALLOW: _Line = (RETURN, 0, 0, ALLOWED)
_REFUSE: _Line = (RETURN, 0, 0, REFUSED | errno.EPERM)
_THREADS: list[_Line] = [(JUMP_SET, 1, 0, CLONE_THREAD), _REFUSE]


def _if(number: int, then: list[_Line]) -> list[_Line]:
    return [(JUMP_EQUAL, 0, len(then), number), *then]


def _argument(place: int) -> _Line:
    return (LOAD, 0, 0, ARGUMENTS + 8 * place)


def _unless_set(place: int, bits: int) -> list[_Line]:
    return [_argument(place), (JUMP_SET, 0, 1, bits), _REFUSE]


def _only(value: int) -> list[_Line]:
    return [(JUMP_EQUAL, 0, 1, value), _ALLOW, _REFUSE]


def _numbers(listed: str, column: int) -> list[int]:
    entries = (entry.split() for entry in listed.split(",") if entry.strip())
    return [int(entry[1 + column]) for entry in entries if entry[1 + column] != "-"]

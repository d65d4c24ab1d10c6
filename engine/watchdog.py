"""Ends a process with its input, whatever its threads do.

The thread that reads the input needs the GIL to act on its end, and one regular expression can hold
the GIL for hours. So the end is watched from outside of the interpreter: on Linux and macOS by a
second process of some 3 MB, which runs this file; on Windows by the system, through a job object.
"""

from __future__ import annotations

import os
import select
import sys

PARENT = "HEARTH_PARENT"
"""Environment variable: the id of the process that writes the input. Only Windows needs it."""


def end_with_input(grace: float) -> None:
    """Ends this process `grace` seconds after nobody can write to its stdin any more.

    The seconds are for the process to end by itself. To be called once, while stdin is descriptor 0
    and Ctrl-C is already ignored, which the watching process inherits. On Windows the process ends
    at once with the one that PARENT names, and only then: a pipe that is being read cannot be
    watched there.
    """
    if sys.platform == "win32":
        if PARENT in os.environ:
            _end_with_parent(int(os.environ[PARENT]))
    else:
        _start_watching(grace)


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    class BasicLimits(ctypes.Structure):
        """JOBOBJECT_BASIC_LIMIT_INFORMATION"""

        _fields_ = (
            ("process_time", ctypes.c_int64),
            ("job_time", ctypes.c_int64),
            ("flags", wintypes.DWORD),
            ("least_working_set", ctypes.c_size_t),
            ("most_working_set", ctypes.c_size_t),
            ("processes", wintypes.DWORD),
            ("affinity", ctypes.c_size_t),
            ("priority", wintypes.DWORD),
            ("scheduling", wintypes.DWORD),
        )

    class Limits(ctypes.Structure):
        """JOBOBJECT_EXTENDED_LIMIT_INFORMATION"""

        _fields_ = (
            ("basic", BasicLimits),
            ("io_counters", ctypes.c_uint64 * 6),
            ("memory", ctypes.c_size_t * 4),
        )

    EXTENDED_LIMITS = 9
    KILL_ON_JOB_CLOSE = 0x2000
    PROCESS_DUP_HANDLE = 0x40
    CLOSE_SOURCE_SAME_ACCESS = 3

    def _end_with_parent(parent: int) -> None:
        """Puts this process into a job whose only handle is the parent's.

        Windows closes the handle when the parent ends, however it ends, and then ends every process
        of the job: this one and its children. Raises OSError.
        """
        kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
        for name in ("CreateJobObjectW", "GetCurrentProcess", "OpenProcess"):
            getattr(kernel32, name).restype = wintypes.HANDLE

        def check(done: int | None) -> int:
            if not done:
                raise ctypes.WinError(ctypes.get_last_error())
            return done

        this = wintypes.HANDLE(kernel32.GetCurrentProcess())
        job = wintypes.HANDLE(check(kernel32.CreateJobObjectW(None, None)))
        limits = Limits(basic=BasicLimits(flags=KILL_ON_JOB_CLOSE))
        size = ctypes.sizeof(limits)
        check(kernel32.SetInformationJobObject(job, EXTENDED_LIMITS, ctypes.byref(limits), size))
        check(kernel32.AssignProcessToJobObject(job, this))
        process = wintypes.HANDLE(check(kernel32.OpenProcess(PROCESS_DUP_HANDLE, False, parent)))
        check(
            kernel32.DuplicateHandle(this, job, process, None, 0, False, CLOSE_SOURCE_SAME_ACCESS)
        )
        kernel32.CloseHandle(process)

else:
    SIGKILL = 9
    """As `signal` has it, whose import takes as much memory as everything else here."""

    def _start_watching(grace: float) -> None:
        """Starts the process that watches; raises OSError.

        Its descriptor 0 is this process's stdin, its descriptor 1 a pipe that tells of this
        process's end: the other side is open here, and nowhere else, for as long as this one lives.
        """
        alive, _held = os.pipe()
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(grace)],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, alive, 1)],
        )
        os.close(alive)

    def watch(process: int, grace: float) -> None:
        """Kills the process `grace` seconds after the end of descriptor 0, unless it has ended.

        A pipe hangs up when its last writer has gone, although there may be more to read. Nothing
        is read here.
        """
        either, end = select.poll(), select.poll()
        either.register(0, 0)
        either.register(1, 0)
        end.register(1, 0)
        either.poll()
        if not end.poll(1000 * grace):
            os.kill(process, SIGKILL)


if sys.platform != "win32" and __name__ == "__main__":
    watch(int(sys.argv[1]), float(sys.argv[2]))

"""Tunes the garbage collector and the CPU affinity of a process that serves. Nothing here runs at import.

Each measure and its gain: docs/performance.md.
"""

import ctypes
import gc
import os
import random
import socket
import threading
import time

_reserved: list[socket.socket] = []


def freeze_objects() -> None:
    """Exempts everything that exists from garbage collection, for good.

    A collection writes to every object that it visits: after a fork that copies every page that the two processes
    share. It also takes 50 ms and more in the middle of a call, once a numeric stack is imported.
    """
    gc.collect()
    gc.freeze()


def freeze_inherited() -> None:
    """Exempts what a forked process got from its parent, without a collection, which would copy the parent's pages."""
    gc.freeze()


def collect_rarely() -> None:
    """Collects after 20,000 new objects instead of 700. A request leaves few cycles, so more collections find none."""
    gc.set_threshold(20_000)


def return_freed_pages(interval_s: float = 10.0) -> None:
    """Starts a thread that hands free pages back to the system, where the C library is glibc.

    glibc returns only the pages at the end of its heap. Hundreds of requests that waited leave free pages before it.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return

    def trim_for_ever() -> None:
        while True:
            time.sleep(interval_s)
            trim(0)

    threading.Thread(target=trim_for_ever, name="return-freed-pages", daemon=True).start()


def pin_to_one_core(group: str) -> None:
    """Pins the process to one core, a different one for each process of the group, while there are free ones.

    Only one thread holds the GIL. Letting the threads migrate between cores evicts the working set, and cost two fifths
    of a short request on two cores.
    """
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, {_reserve_core(os.sched_getaffinity(0), group)})


def _reserve_core(cores: set[int], group: str) -> int:
    """A core that no other process has reserved, in random order: containers do not see each other's reservations.

    The reservation is the name of a socket in Linux's abstract namespace: the kernel gives it to one process, and
    takes it back when the process ends.
    """
    shuffled = random.sample(sorted(cores), len(cores))
    for core in shuffled:
        reservation = socket.socket(socket.AF_UNIX)
        try:
            reservation.bind(f"\0{group}-core-{core}")
        except OSError:
            reservation.close()
            continue
        _reserved.append(reservation)
        return core
    return shuffled[0]

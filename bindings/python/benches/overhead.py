"""What the package costs beside the C calls that do the same, in the same process.

    python benches/overhead.py [LIBRARY] [ROUNDS]

LIBRARY is overhead.c, linked with the C library; test.sh builds it. Without it the C line is left
away. All sides take turns in small batches, and who begins changes, so that a machine that slows
down slows all of them. What counts are the ratios of a round; printed are their medians.
"""

from __future__ import annotations

import asyncio
import ctypes
import statistics
import sys
import time
from typing import Callable, List, Tuple

import allotment

PAIRS = 2_000
SIZE = 4096

Side = Tuple[str, Callable[[int], None]]


def c_side(library: str) -> Side:
    """The loop in C."""
    c = ctypes.CDLL(library)
    c.overhead_pairs.restype = ctypes.c_uint64
    governor, tenant = ctypes.c_void_p(), ctypes.c_uint64()
    assert c.overhead_begin(ctypes.byref(governor), ctypes.byref(tenant)) == 1

    def pairs(count: int) -> None:
        granted = c.overhead_pairs(governor, tenant, ctypes.c_uint64(count))
        assert granted == count, "each is granted"

    return ("C: allot_request", pairs)


def sides() -> List[Side]:
    """The ways to have and end a grant in Python."""
    tenant = allotment.Governor("1 TiB").register_tenant("bench")
    loop = asyncio.new_event_loop()

    def nothing(count: int) -> None:
        for _ in range(count):
            bool(str)

    def dropped(count: int) -> None:
        for _ in range(count):
            tenant.request(SIZE, "cache")

    def released(count: int) -> None:
        for _ in range(count):
            tenant.request(SIZE, "cache").release()

    def tried(count: int) -> None:
        for _ in range(count):
            tenant.try_acquire(SIZE, "cache")

    def acquired(count: int) -> None:
        for _ in range(count):
            with tenant.acquire(SIZE, "cache"):
                pass

    def in_words(count: int) -> None:
        for _ in range(count):
            with tenant.acquire("4 KiB", kind="cache", timeout=1):
                pass

    async def awaited(count: int) -> None:
        for _ in range(count):
            async with tenant.acquire_async(SIZE, "cache"):
                pass

    return [
        ("a call of a builtin", nothing),
        ("request, dropped", dropped),
        ("request, released", released),
        ("try_acquire, dropped", tried),
        ("with acquire", acquired),
        ("with acquire, in words", in_words),
        ("async with acquire_async", lambda count: loop.run_until_complete(awaited(count))),
    ]


def main(library: str = "", rounds: str = "51") -> None:
    """Times all sides, in turns."""
    every = ([c_side(library)] if library else []) + sides()
    times: List[List[float]] = [[] for _ in every]
    for number in range(int(rounds)):
        for turn in range(len(every)):
            place = (number + turn) % len(every)
            begin = time.perf_counter_ns()
            every[place][1](PAIRS)
            times[place].append((time.perf_counter_ns() - begin) / PAIRS)
    print(f"request + release of {SIZE} B, medians of {rounds} rounds of {PAIRS} pairs, in turns")
    for place, (name, _) in enumerate(every):
        ratio = statistics.median(here / first for here, first in zip(times[place], times[0]))
        print(f"  {name:<26}{statistics.median(times[place]):>9.1f} ns  {ratio:>7.2f}x")


if __name__ == "__main__":
    main(*sys.argv[1:])

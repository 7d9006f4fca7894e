"""A million grants in every way to own one: an empty ledger, and no memory that stays."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import Callable

import pytest

import allotment

PAGE = os.sysconf("SC_PAGESIZE")

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/statm"), reason="this system does not say what is resident"
)


def resident_bytes() -> int:
    """Memory that this process has of its own."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * PAGE


def growth(body: Callable[[], None]) -> int:
    """The least that the body adds to memory in one of three rounds."""
    least = 1 << 62
    for _ in range(3):
        gc.collect()
        before = resident_bytes()
        body()
        gc.collect()
        least = min(least, resident_bytes() - before)
    return least


def test_a_million_grants_leave_nothing_behind(tenant: allotment.Tenant) -> None:
    def some(count: int) -> None:
        for _ in range(count // 5):
            tenant.request(4096, "cache").release()
            tenant.request(4096, "cache", cookie=7)
            with tenant.acquire(4096, "inference", timeout=1):
                pass
            tenant.try_acquire(4096, "inference")
            grant = tenant.request(4096, "background")
            grant.grow(1)

    some(100_000)
    granted = tenant.usage().granted
    grown = growth(lambda: some(1_000_000))
    print(f"a million grants: {grown} bytes more in memory")
    assert tenant.usage().granted == granted + 3_000_000
    # What is kept of each grant, were it 16 bytes only, would be twice as much.
    assert grown < 8 << 20


def test_waits_and_cancellations_leave_nothing_behind(tenant: allotment.Tenant) -> None:
    async def waits(count: int) -> None:
        for number in range(count):
            full = await tenant.acquire_async("64 MiB", "inference", timeout=10)
            task = asyncio.ensure_future(tenant.acquire_async("64 MiB", "inference").__aenter__())
            await asyncio.sleep(0)
            if number % 2:
                task.cancel()
            full.release()
            (grant,) = await asyncio.gather(task, return_exceptions=True)
            if not isinstance(grant, asyncio.CancelledError):
                assert isinstance(grant, allotment.Grant) and grant.release()

    asyncio.run(waits(1_000))
    grown = growth(lambda: asyncio.run(waits(5_000)))
    print(f"five thousand waits: {grown} bytes more in memory")
    # A wait that is kept, with its task, would be some hundred bytes and more.
    assert grown < 1 << 20


def test_denials_and_handlers_leave_nothing_behind(governor: allotment.Governor) -> None:
    cache = governor.register_tenant("cache", priority="low")
    chat = governor.register_tenant("chat", priority="high")

    def some() -> None:
        for _ in range(5_000):
            governor.on_reclaim(lambda victim: "freed")
            block = cache.request("64 MiB", "cache")
            chat.request("1 MiB", "inference").release()
            assert not block.is_live
            try:
                chat.request("65 MiB", "inference")
            except allotment.Denied:
                pass

    some()
    grown = growth(some)
    print(f"five thousand evictions and denials: {grown} bytes more in memory")
    assert grown < 1 << 20


def test_governors_leave_nothing_behind() -> None:
    def some() -> None:
        for _ in range(200):
            governor = allotment.Governor("64 MiB")
            tenant = governor.register_tenant("chat")
            tenant.on_reclaim(lambda victim: (tenant, "freed")[1])
            tenant.request("1 MiB", "cache")
        gc.collect()

    some()
    grown = growth(some)
    print(f"two hundred governors: {grown} bytes more in memory")
    assert grown < 2 << 20

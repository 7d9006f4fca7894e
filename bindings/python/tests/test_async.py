"""Coroutines that await their turn, and are cancelled before, within and after it."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any, Callable, Coroutine, List

import pytest
from conftest import MIB, waiters

import allotment


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a coroutine, with a minute for it."""
    asyncio.run(asyncio.wait_for(body(), 60))


async def standing(governor: allotment.Governor, count: int) -> None:
    """Waits until so many stand in line."""
    while waiters(governor) != count:
        await asyncio.sleep(0.001)


def test_at_once(tenant: allotment.Tenant) -> None:
    async def body() -> None:
        async with tenant.acquire_async("4 MiB", "inference") as grant:
            assert grant.bytes == tenant.used == 4 * MIB
        assert tenant.used == 0
        grant = await tenant.governor.acquire_async("chat", MIB, kind="cache", timeout=1)
        assert grant.is_live and grant.release()

    run(body)


def test_nothing_is_asked_for_before_it_is_awaited(tenant: allotment.Tenant) -> None:
    async def body() -> None:
        acquiring = tenant.acquire_async(MIB, "cache")
        assert tenant.used == 0 and tenant.usage().granted == 0
        with await acquiring:
            assert tenant.used == MIB
        with pytest.raises(RuntimeError, match="awaited before"):
            await acquiring

    run(body)


def test_awaiting_its_turn(tenant: allotment.Tenant) -> None:
    async def body() -> None:
        full = tenant.request("64 MiB", "inference")
        task = asyncio.ensure_future(wait_for_a_mib(tenant))
        await standing(tenant.governor, 1)
        full.release()
        assert await task == MIB

    run(body)


async def wait_for_a_mib(tenant: allotment.Tenant) -> int:
    async with tenant.acquire_async("1 MiB", "inference") as grant:
        return grant.bytes


def test_woken_by_another_thread(tenant: allotment.Tenant) -> None:
    async def body() -> None:
        full = tenant.request("64 MiB", "inference")
        task = asyncio.ensure_future(wait_for_a_mib(tenant))
        await standing(tenant.governor, 1)
        thread = threading.Thread(target=full.release)
        thread.start()
        assert await task == MIB
        thread.join()

    run(body)


def test_a_timeout(tenant: allotment.Tenant) -> None:
    async def body() -> None:
        with tenant.request("64 MiB", "inference"):
            with pytest.raises(allotment.Timeout):
                await tenant.acquire_async("1 MiB", "inference", timeout=0.05)
            with pytest.raises(allotment.Timeout):
                async with tenant.acquire_async("1 MiB", "inference", timeout=0):
                    pytest.fail("it was not granted")
            assert waiters(tenant.governor) == 0
        with pytest.raises(allotment.Denied):
            await tenant.acquire_async("65 MiB", "inference")

    run(body)


def test_cancelled_before_it_begins(tenant: allotment.Tenant) -> None:
    async def body() -> None:
        task = asyncio.ensure_future(wait_for_a_mib(tenant))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tenant.usage().granted == 0

    run(body)


def test_cancelled_while_it_waits(tenant: allotment.Tenant) -> None:
    async def body() -> None:
        with tenant.request("64 MiB", "inference"):
            task = asyncio.ensure_future(wait_for_a_mib(tenant))
            await standing(tenant.governor, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert waiters(tenant.governor) == 0

    run(body)


def test_cancelled_when_it_was_just_granted(tenant: allotment.Tenant) -> None:
    async def body() -> None:
        full = tenant.request("64 MiB", "inference")
        task = asyncio.ensure_future(wait_for_a_mib(tenant))
        await standing(tenant.governor, 1)
        # The bytes are the waiter's at once; its task has not run yet.
        full.release()
        assert waiters(tenant.governor) == 0 and tenant.used == MIB
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tenant.used == 0

    run(body)


def test_cancelled_while_it_holds(tenant: allotment.Tenant) -> None:
    async def body() -> None:
        held = asyncio.Event()

        async def hold() -> None:
            async with tenant.acquire_async(MIB, "inference"):
                held.set()
                await asyncio.sleep(60)

        task = asyncio.ensure_future(hold())
        await held.wait()
        assert tenant.used == MIB
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tenant.used == 0

    run(body)


def test_answers_race_with_cancellations(tenant: allotment.Tenant) -> None:
    async def body() -> None:
        ended: List[bool] = []
        for number in range(300):
            full = tenant.request("64 MiB", "inference")
            task = asyncio.ensure_future(wait_for_a_mib(tenant))
            await standing(tenant.governor, 1)
            thread = threading.Thread(target=full.release)
            thread.start()
            for _ in range(number % 4):
                await asyncio.sleep(0)
            task.cancel()
            try:
                ended.append(await task == MIB)
            except asyncio.CancelledError:
                ended.append(False)
            thread.join()
            assert tenant.used == 0 and waiters(tenant.governor) == 0
        assert len(ended) == 300

    run(body)


def test_a_task_that_nobody_has_any_more_gives_up_its_place(tenant: allotment.Tenant) -> None:
    with tenant.request("64 MiB", "inference"):
        loop = asyncio.new_event_loop()
        task = loop.create_task(wait_for_a_mib(tenant))
        loop.run_until_complete(asyncio.sleep(0))
        assert waiters(tenant.governor) == 1
        loop.call_exception_handler = lambda context: None  # type: ignore[method-assign]
        loop.close()
        del task, loop
        gc.collect()
        assert waiters(tenant.governor) == 0


def test_a_loop_that_was_closed_is_not_woken(
    tenant: allotment.Tenant, unraisable: List[BaseException]
) -> None:
    full = tenant.request("64 MiB", "inference")
    loop = asyncio.new_event_loop()
    task = loop.create_task(wait_for_a_mib(tenant))
    loop.run_until_complete(asyncio.sleep(0))
    loop.call_exception_handler = lambda context: None  # type: ignore[method-assign]
    loop.close()
    full.release()
    assert unraisable == [] and tenant.used == MIB
    del task, loop
    gc.collect()
    assert tenant.used == 0


def test_closing_wakes_who_awaits(tenant: allotment.Tenant) -> None:
    async def body() -> None:
        full = tenant.request("64 MiB", "inference")
        tasks = [asyncio.ensure_future(wait_for_a_mib(tenant)) for _ in range(3)]
        await standing(tenant.governor, 3)
        tenant.governor.close()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in ended] == [allotment.Closed] * 3
        full.release()

    run(body)


def test_a_thousand_tasks(tenant: allotment.Tenant) -> None:
    async def body() -> None:
        most = 0

        async def work(number: int) -> int:
            nonlocal most
            async with tenant.acquire_async((1 + number % 8) * MIB, "inference") as grant:
                most = max(most, tenant.used)
                await asyncio.sleep(0)
                return grant.bytes

        held = await asyncio.gather(*(work(number) for number in range(1000)))
        assert sum(held) == sum((1 + number % 8) * MIB for number in range(1000))
        assert 56 * MIB < most <= 64 * MIB
        assert tenant.usage().granted == 1000

    run(body)


def test_handlers_run_on_the_thread_of_the_loop(governor: allotment.Governor) -> None:
    cache = governor.register_tenant("cache", priority="low")
    chat = governor.register_tenant("chat", priority="high")
    ran: List[int] = []

    @governor.on_reclaim
    def drop(victim: allotment.Victim) -> str:
        ran.append(threading.get_ident())
        asyncio.get_running_loop()
        return "freed"

    async def body() -> None:
        block = cache.request("64 MiB", "cache")
        async with chat.acquire_async("1 MiB", "inference"):
            assert not block.is_live

    run(body)
    assert ran == [threading.get_ident()]


def test_who_is_evicted_within_its_block(governor: allotment.Governor) -> None:
    cache = governor.register_tenant("cache", priority="low")
    chat = governor.register_tenant("chat", priority="high")
    governor.on_reclaim(lambda victim: "freed")

    async def body() -> None:
        async with cache.acquire_async("64 MiB", "cache") as block:
            chat.request("1 MiB", "inference").release()
            with pytest.raises(allotment.Evicted):
                block.touch()

    run(body)


def test_outside_of_a_loop(tenant: allotment.Tenant) -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        tenant.acquire_async(1, "cache").__await__().send(None)
    with pytest.raises(ValueError, match="no kind"):
        tenant.acquire_async(1, "cash")  # type: ignore[arg-type]

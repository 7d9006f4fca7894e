"""Threads that wait for their turn."""

from __future__ import annotations

import _thread
import asyncio
import signal
import threading
import time
from typing import List, Optional

import pytest
from conftest import MIB, wait_until, waiters

import allotment
from allotment import Reason


class Waiter(threading.Thread):
    """A thread that waits for a MiB, and what came of it."""

    def __init__(self, tenant: allotment.Tenant, timeout: Optional[float] = None) -> None:
        super().__init__(daemon=True)
        self.tenant = tenant
        self.timeout = timeout
        self.error: Optional[BaseException] = None
        self.start()

    def run(self) -> None:
        """Waits, and releases."""
        try:
            self.tenant.acquire("1 MiB", "inference", timeout=self.timeout).release()
        except BaseException as error:
            self.error = error.with_traceback(None)

    def ended(self) -> Optional[BaseException]:
        """What it raised, if anything."""
        self.join(10)
        assert not self.is_alive()
        return self.error


def test_a_timeout_is_a_denial_with_all_fields(tenant: allotment.Tenant) -> None:
    with tenant.request("64 MiB", "inference"):
        begin = time.monotonic()
        with pytest.raises(allotment.Timeout) as raised:
            tenant.acquire("1 MiB", "inference", timeout=0.1)
        assert 0.09 < time.monotonic() - begin < 5
        denial = raised.value.denial
        assert (denial.reason, denial.short) == (Reason.WAITED_TOO_LONG, MIB)
        with pytest.raises(TimeoutError):
            tenant.acquire("1 MiB", "inference", timeout=0)


def test_waiting_that_cannot_help_is_denied_at_once(tenant: allotment.Tenant) -> None:
    with pytest.raises(allotment.Denied) as raised:
        tenant.acquire("65 MiB", "inference")
    assert not isinstance(raised.value, allotment.Timeout)
    assert not raised.value.denial.waiting_can_help


def test_other_threads_run_meanwhile(tenant: allotment.Tenant) -> None:
    full = tenant.request("64 MiB", "inference")
    many = [Waiter(tenant) for _ in range(20)]
    wait_until(lambda: waiters(tenant.governor) == 20)
    full.release()
    assert [waiter.ended() for waiter in many] == [None] * 20


def test_first_in_first_out(tenant: allotment.Tenant) -> None:
    full = tenant.request("64 MiB", "inference")
    order: List[int] = []

    def wait(number: int) -> None:
        with tenant.acquire("64 MiB", "inference"):
            order.append(number)

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=wait, args=(number,)))
        threads[-1].start()
        wait_until(lambda: waiters(tenant.governor) == len(threads))
    full.release()
    for thread in threads:
        thread.join(10)
    assert order == [0, 1, 2, 3, 4]


def test_closing_wakes_who_waits(tenant: allotment.Tenant) -> None:
    full = tenant.request("64 MiB", "inference")
    waiter = Waiter(tenant)
    wait_until(lambda: waiters(tenant.governor) == 1)
    tenant.governor.close()
    assert isinstance(waiter.ended(), allotment.Closed)
    assert full.release()


def test_unregistering_wakes_who_waits(governor: allotment.Governor) -> None:
    chat, other = governor.register_tenant("chat"), governor.register_tenant("other")
    full = other.request("64 MiB", "inference")
    waiter = Waiter(chat)
    wait_until(lambda: waiters(governor) == 1)
    chat.unregister()
    assert isinstance(waiter.ended(), allotment.Gone)
    full.release()


def test_the_keyboard_interrupts_who_waits(tenant: allotment.Tenant) -> None:
    with tenant.request("64 MiB", "inference"):
        timer = threading.Timer(0.1, _thread.interrupt_main)
        timer.start()
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            tenant.acquire("1 MiB", "inference", timeout=30)
        assert time.monotonic() - begin < 10
        timer.join()
        assert waiters(tenant.governor) == 0


def test_a_signal_handler_runs_while_it_waits(tenant: allotment.Tenant) -> None:
    full = tenant.request("64 MiB", "inference")
    before = signal.signal(signal.SIGALRM, lambda number, frame: full.release() and None)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        tenant.acquire("1 MiB", "inference", timeout=30).release()
    finally:
        signal.signal(signal.SIGALRM, before)


def test_the_line_is_full(governor: allotment.Governor) -> None:
    small = allotment.Governor("1 MiB", waiters_max=1)
    chat = small.register_tenant("chat")
    full = chat.request("1 MiB", "inference")
    waiter = Waiter(chat)
    wait_until(lambda: waiters(small) == 1)
    with pytest.raises(allotment.Denied) as raised:
        chat.acquire(1, "inference")
    assert raised.value.denial.reason is Reason.WAITERS_EXHAUSTED
    full.release()
    assert waiter.ended() is None


def test_keep_balanced_serves_who_waits(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat")
    governor.on_reclaim(lambda victim: "freed")
    block = chat.request("64 MiB", "cache", pinned=True)
    got: List[int] = []

    async def wait() -> None:
        async with chat.acquire_async("1 MiB", "inference", timeout=30) as grant:
            got.append(grant.bytes)

    with governor.keep_balanced(0.02) as keeping:
        threading.Timer(0.1, block.unpin).run()
        asyncio.run(wait())
        with pytest.raises(RuntimeError, match="entered before"):
            keeping.__enter__()
    assert got == [MIB]
    with pytest.raises(ValueError, match="every"):
        governor.keep_balanced(0)


def test_keep_balanced_ends_with_its_governor() -> None:
    governor = allotment.Governor("1 MiB")
    with governor.keep_balanced(0.01):
        governor.close()
        wait_until(lambda: threading.active_count() == 1)


def test_a_closed_governor_takes_no_calls(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat")
    grant = chat.request(MIB, "cache")
    group = governor.register_group("org")
    governor.on_reclaim(lambda victim: "freed")
    chat.on_reclaim(lambda victim: "freed")
    with governor as same:
        assert same is governor and not governor.is_closed
    assert governor.is_closed
    governor.close()
    for call in (
        lambda: chat.acquire(1, "cache"),
        lambda: chat.acquire_async(1, "cache"),
        lambda: chat.try_acquire(1, "cache"),
        lambda: chat.request(1, "cache"),
        lambda: chat.usage(),
        lambda: chat.on_reclaim(lambda victim: "freed"),
        lambda: governor.register_tenant("other"),
        lambda: governor.tenant("chat"),
        lambda: governor.snapshot(),
        lambda: governor.balance(),
        lambda: governor.on_pressure(print),
        lambda: governor.keep_balanced(),
        lambda: governor.events(),
        lambda: governor.__enter__(),
        lambda: group.unregister(),
        lambda: grant.touch(),
        lambda: grant.grow(1),
    ):
        with pytest.raises(allotment.Closed) as raised:
            call()
        assert raised.value.code == "closed"
    assert grant.bytes == MIB
    assert grant.release() is True


def test_requests_of_many_threads_add_up(governor: allotment.Governor) -> None:
    tenants = [governor.register_tenant(f"t{number}") for number in range(4)]
    most: List[int] = []

    def work(tenant: allotment.Tenant) -> None:
        for number in range(500):
            # A loaded model is never evicted, so that each of them waits for the others.
            size = (1 + number % 40) * MIB
            with tenant.acquire(size, "model_load", timeout=60) as grant:
                grant.touch()
                most.append(governor.snapshot().live)

    threads = [threading.Thread(target=work, args=(tenant,)) for tenant in tenants * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len(most) == 4000 and max(most) <= 64 * MIB
    assert sum(tenant.usage().granted for tenant in tenants) == 4000

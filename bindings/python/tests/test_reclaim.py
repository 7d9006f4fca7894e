"""Owners that are asked for their memory: from any thread, again from within, and badly."""

from __future__ import annotations

import threading
import weakref
from typing import List

import pytest
from conftest import MIB, wait_until

import allotment
from allotment import Kind, Reclaim, Victim


class Two:
    """A tenant with a cache that fills the pool, and one that is short."""

    def __init__(self, governor: allotment.Governor) -> None:
        self.cache = governor.register_tenant("cache", priority="low")
        self.chat = governor.register_tenant("chat", priority="high")
        self.block = self.cache.request("64 MiB", "cache", cookie=42, key=7)


def test_the_victim_is_named(governor: allotment.Governor) -> None:
    two = Two(governor)
    asked: List[Victim] = []

    @governor.on_reclaim
    def drop(victim: Victim) -> Reclaim:
        asked.append(victim)
        return Reclaim.FREED

    with two.chat.request(MIB, "inference"):
        assert asked == [
            Victim("cache", two.cache.handle, two.block.id, Kind.CACHE, 64 * MIB, 42, 7)
        ]
        assert not two.block.is_live
        with pytest.raises(allotment.Evicted) as raised:
            two.block.touch()
        assert raised.value.code == "evicted"
        assert two.block.release() is False
    assert two.cache.usage().evicted_bytes == 64 * MIB


def test_who_was_evicted_is_told_so_however_late(governor: allotment.Governor) -> None:
    two = Two(governor)
    governor.on_reclaim(lambda victim: "freed")
    two.chat.request(MIB, "inference").release()
    # Its slot has other grants since, so that the ledger does not know it any more.
    for _ in range(3):
        two.cache.request(MIB, "cache").release()
    for verb in (two.block.touch, two.block.pin, lambda: two.block.grow(1)):
        with pytest.raises(allotment.Evicted):
            verb()
    two.block.release()
    with pytest.raises(allotment.StaleGrant):
        two.block.touch()


def test_it_runs_on_the_thread_that_is_short(governor: allotment.Governor) -> None:
    two = Two(governor)
    ran: List[int] = []

    @governor.on_reclaim
    def drop(victim: Victim) -> str:
        ran.append(threading.get_ident())
        return "freed"

    thread = threading.Thread(target=lambda: two.chat.request(MIB, "inference").release())
    thread.start()
    ident = thread.ident
    thread.join(10)
    assert ran == [ident]


def test_within_a_time_it_runs_on_a_thread_of_the_library(governor: allotment.Governor) -> None:
    two = Two(governor)
    ran: List[int] = []

    def drop(victim: Victim) -> str:
        ran.append(threading.get_ident())
        return "freed"

    governor.on_reclaim(drop, within=10)
    two.chat.request(MIB, "inference").release()
    assert len(ran) == 1 and ran[0] != threading.get_ident()


def test_one_that_hangs_holds_up_nobody_for_longer(governor: allotment.Governor) -> None:
    two = Two(governor)
    go_on, begun = threading.Event(), threading.Event()

    def hang(victim: Victim) -> Reclaim:
        begun.set()
        go_on.wait(10)
        return Reclaim.BUSY

    governor.on_reclaim(hang, within=0.5)
    with pytest.raises(allotment.Denied):
        two.chat.request(MIB, "inference")
    assert begun.wait(10) and two.block.is_live
    assert governor.snapshot().reclaim_timeouts == 1
    go_on.set()
    two.block.release()


def test_the_tenants_own_goes_first(governor: allotment.Governor) -> None:
    two = Two(governor)
    asked: List[str] = []

    @governor.on_reclaim
    def of_all(victim: Victim) -> str:
        asked.append("all")
        return "freed"

    @two.cache.on_reclaim
    def own(victim: Victim) -> str:
        asked.append("own")
        return "busy"

    with pytest.raises(allotment.Denied):
        two.chat.request(MIB, "inference")
    two.cache.clear_on_reclaim()
    assert asked == ["own"]
    two.block.keep_alive(0)
    two.chat.request(MIB, "inference").release()
    assert asked == ["own", "all"]


def test_it_may_call_anything(governor: allotment.Governor) -> None:
    two = Two(governor)
    seen: List[object] = []

    @governor.on_reclaim
    def drop(victim: Victim) -> str:
        seen.append(governor.snapshot().live)
        seen.append(two.block.bytes)
        seen.append(two.chat.try_acquire(MIB, "inference"))
        two.cache.explain(MIB, "cache")
        governor.balance()
        governor.on_reclaim(drop)
        assert two.block.release() is False
        return "freed"

    two.chat.request(MIB, "inference").release()
    assert seen == [64 * MIB, 64 * MIB, None]


def test_it_may_request_from_within(governor: allotment.Governor) -> None:
    two = Two(governor)
    two.block.shrink("8 MiB")
    within: List[int] = []

    @governor.on_reclaim
    def drop(victim: Victim) -> str:
        with two.chat.request("4 MiB", "inference") as grant:
            within.append(grant.bytes)
        return "freed"

    two.chat.request("16 MiB", "inference").release()
    assert within == [4 * MIB]


@pytest.mark.parametrize("within", [None, 10])
def test_what_it_raises_is_reported_and_counts_as_busy(
    governor: allotment.Governor, unraisable: List[BaseException], within: object
) -> None:
    two = Two(governor)

    def fails(victim: Victim) -> str:
        raise RuntimeError("within the handler")

    governor.on_reclaim(fails, within=within)  # type: ignore[arg-type]
    with pytest.raises(allotment.Denied):
        two.chat.request(MIB, "inference")
    assert [str(error) for error in unraisable] == ["within the handler"]
    assert two.block.is_live


@pytest.mark.parametrize("answer", [None, True, 1, "gone", ValueError])
def test_an_answer_that_is_none(
    governor: allotment.Governor, unraisable: List[BaseException], answer: object
) -> None:
    two = Two(governor)
    governor.on_reclaim(lambda victim: answer)  # type: ignore[type-var]
    with pytest.raises(allotment.Denied):
        two.chat.request(MIB, "inference")
    assert len(unraisable) == 1 and isinstance(unraisable[0], (TypeError, ValueError))
    assert two.block.is_live


def test_system_exit_in_a_handler_ends_nothing(
    governor: allotment.Governor, unraisable: List[BaseException]
) -> None:
    two = Two(governor)

    def leave(victim: Victim) -> str:
        raise SystemExit(3)

    governor.on_reclaim(leave)
    with pytest.raises(allotment.Denied):
        two.chat.request(MIB, "inference")
    assert isinstance(unraisable[0], SystemExit)


def test_the_keyboard_interrupts_a_handler(governor: allotment.Governor) -> None:
    two = Two(governor)

    def interrupted(victim: Victim) -> str:
        raise KeyboardInterrupt

    governor.on_reclaim(interrupted)
    with pytest.raises(KeyboardInterrupt):
        two.chat.request(MIB, "inference")
        for _ in range(1000):
            pass
    assert two.block.is_live


def test_what_listens_to_pressure_may_raise(
    governor: allotment.Governor, unraisable: List[BaseException]
) -> None:
    def fails(level: allotment.Pressure) -> None:
        raise RuntimeError(str(level))

    governor.on_pressure(fails)
    governor.report_pressure("high")
    assert [str(error) for error in unraisable] == ["high"]


def test_deferred_is_released_later(governor: allotment.Governor) -> None:
    two = Two(governor)
    governor.on_reclaim(lambda victim: "deferred")
    with pytest.raises(allotment.Denied) as denied:
        two.chat.request(MIB, "inference")
    assert denied.value.denial.waiting_can_help
    two.block.release()
    two.chat.request(MIB, "inference").release()


def test_victims_that_are_polled(governor: allotment.Governor) -> None:
    two = Two(governor)
    assert governor.next_victim() is None
    with pytest.raises(allotment.Denied):
        two.chat.request(MIB, "inference")
    victim = governor.next_victim()
    assert victim is not None and (victim.tenant, victim.cookie) == ("cache", 42)
    two.block.decline()
    assert two.block.is_live and governor.next_victim() is None
    governor.on_reclaim(lambda victim: "freed")
    governor.clear_on_reclaim()


def test_what_cannot_be_called(governor: allotment.Governor) -> None:
    for wrong in (None, "drop", 3):
        with pytest.raises(TypeError, match="cannot be called"):
            governor.on_reclaim(wrong)  # type: ignore[type-var]
        with pytest.raises(TypeError, match="cannot be called"):
            governor.on_pressure(wrong)  # type: ignore[type-var]
    with pytest.raises(ValueError, match="within"):
        governor.on_reclaim(lambda victim: "freed", within=-1)


def test_a_handler_is_let_go_when_it_is_replaced(governor: allotment.Governor) -> None:
    class Handler:
        def __call__(self, victim: Victim) -> Reclaim:
            return Reclaim.FREED

    first = Handler()
    weak = weakref.ref(first)
    governor.on_reclaim(first)
    del first
    assert weak() is not None
    governor.on_reclaim(lambda victim: "busy")
    assert weak() is None
    second = Handler()
    weak = weakref.ref(second)
    chat = governor.register_tenant("chat")
    chat.on_reclaim(second)
    del second
    assert weak() is not None
    chat.unregister()
    assert weak() is None


def test_handlers_and_requests_of_many_threads(governor: allotment.Governor) -> None:
    tenants = [
        governor.register_tenant(f"t{number}", priority=("low", "high")[number % 2])
        for number in range(8)
    ]
    governor.on_reclaim(lambda victim: "freed", within=None)
    faults: List[BaseException] = []

    def work(tenant: allotment.Tenant) -> None:
        try:
            for number in range(300):
                kept = [tenant.request("3 MiB", "cache", cookie=number) for _ in range(4)]
                kept[0].grow(1)
        except allotment.AllotmentError as error:
            if not isinstance(error, (allotment.Denied, allotment.Evicted)):
                faults.append(error)

    threads = [threading.Thread(target=work, args=(tenant,)) for tenant in tenants]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    wait_until(lambda: governor.snapshot().live == 0)

"""A grant: how it is had, changed, and given back."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import pytest
from conftest import MIB, wait_until, waiters

import allotment
from allotment import Kind


def test_a_with_releases_at_its_end(tenant: allotment.Tenant) -> None:
    with tenant.acquire("4 MiB", "inference") as grant:
        assert grant.bytes == tenant.used == 4 * MIB
        assert grant.is_live
    assert tenant.used == 0
    assert not grant.is_live


def test_a_with_releases_where_its_body_raises(tenant: allotment.Tenant) -> None:
    with pytest.raises(KeyError):
        with tenant.request("4 MiB", "inference"):
            raise KeyError("body")
    assert tenant.used == 0


def test_by_the_name_of_the_tenant(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat")
    with governor.acquire("chat", "4 MiB", kind="cache", timeout=1) as grant:
        assert grant.tenant == chat
    with governor.acquire(chat, "4 MiB", Kind.CACHE) as grant:
        assert grant.kind is Kind.CACHE
    assert governor.try_acquire("chat", 1, "cache") is not None
    with pytest.raises(allotment.Gone, match="'nobody'"):
        governor.acquire("nobody", 1, "cache")
    with pytest.raises(LookupError):
        governor.try_acquire("nobody", 1, "cache")


def test_release_says_whether_it_was_the_one(tenant: allotment.Tenant) -> None:
    grant = tenant.request(MIB, "cache")
    assert grant.release() is True
    assert grant.release() is False
    assert tenant.used == 0


def test_release_within_a_with(tenant: allotment.Tenant) -> None:
    with tenant.request(MIB, "cache") as grant:
        grant.release()
        with tenant.request(MIB, "cache"):
            assert tenant.used == MIB
    assert tenant.used == 0


@pytest.mark.parametrize(
    "verb",
    [
        lambda grant: grant.touch(),
        lambda grant: grant.grow(1),
        lambda grant: grant.grow(1, evict=True),
        lambda grant: grant.shrink(1),
        lambda grant: grant.true_up(1),
        lambda grant: grant.pin(),
        lambda grant: grant.unpin(),
        lambda grant: grant.keep_alive(1),
        lambda grant: grant.commit(),
        lambda grant: grant.decline(),
        lambda grant: grant.__enter__(),
    ],
)
def test_use_after_release(tenant: allotment.Tenant, verb: object) -> None:
    grant = tenant.request(MIB, "cache")
    grant.release()
    with pytest.raises(allotment.StaleGrant) as raised:
        verb(grant)  # type: ignore[operator]
    assert raised.value.code == "stale_grant"
    assert grant.bytes == 0


def test_a_grant_that_goes_gives_its_bytes_back(tenant: allotment.Tenant) -> None:
    grant = tenant.request(MIB, "cache")
    kept = grant
    del grant
    assert tenant.used == MIB
    del kept
    assert tenant.used == 0


def test_a_grant_that_goes_with_an_exception(tenant: allotment.Tenant) -> None:
    def fails() -> None:
        grant = tenant.request(64 * MIB, "inference")
        raise ValueError(grant.bytes)

    waiting = threading.Thread(target=lambda: tenant.acquire(MIB, "inference").release())
    with pytest.raises(ValueError):
        try:
            fails()
        finally:
            waiting.start()
    waiting.join(10)
    assert not waiting.is_alive()


def test_grow_and_shrink(tenant: allotment.Tenant) -> None:
    with tenant.request("4 MiB", "inference") as grant:
        grant.grow("2 MiB")
        assert grant.bytes == tenant.used == 6 * MIB
        grant.shrink(3 * MIB)
        assert grant.bytes == tenant.used == 3 * MIB
        grant.true_up("5 MiB")
        assert grant.bytes == 5 * MIB
        with pytest.raises(allotment.MisuseError, match="release it to return all") as raised:
            grant.shrink("5 MiB")
        assert raised.value.code == "shrink_too_much"
        with pytest.raises(allotment.Denied) as denied:
            grant.grow("1 GiB")
        assert denied.value.denial.reason is allotment.Reason.CAPACITY
        assert grant.bytes == 5 * MIB


def test_grow_evicts_if_it_may(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat", priority="high")
    cache = governor.register_tenant("cache", priority="low")
    governor.on_reclaim(lambda victim: "freed")
    idle = cache.request("32 MiB", "cache")
    with chat.request("32 MiB", "inference") as grant:
        with pytest.raises(allotment.Denied):
            grant.grow("1 MiB")
        grant.grow("1 MiB", evict=True)
        assert grant.bytes == 33 * MIB
        assert not idle.is_live


def test_pinned_and_kept_alive(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat")
    governor.on_reclaim(lambda victim: "freed")
    block = chat.request("64 MiB", "cache", pinned=True)
    with pytest.raises(allotment.Denied) as denied:
        chat.request("1 MiB", "inference")
    denial = denied.value.denial
    assert (denial.pinned_grants, denial.pinned, denial.pinned_first) == (1, 64 * MIB, block.id)
    block.unpin()
    block.keep_alive(3600)
    with pytest.raises(allotment.Denied):
        chat.request("1 MiB", "inference")
    block.keep_alive(0)
    chat.request("1 MiB", "inference").release()
    assert not block.is_live


def test_reserve_and_commit() -> None:
    governor = allotment.Governor("64 MiB", manual_clock=True)
    chat = governor.register_tenant("chat")
    grant = chat.reserve("4 MiB", "model_load", ttl=5)
    grant.commit()
    governor.advance_clock(10)
    assert governor.balance().reservations_expired == 0
    assert grant.bytes == 4 * MIB
    with pytest.raises(allotment.MisuseError) as raised:
        grant.commit()
    assert raised.value.code == "not_reserved"
    late = chat.reserve("4 MiB", "model_load", ttl=5)
    governor.advance_clock(10)
    with pytest.raises(allotment.StaleGrant) as stale:
        late.commit()
    assert stale.value.code == "expired"


def test_request_all_or_none(tenant: allotment.Tenant) -> None:
    grants = tenant.request_all(["1 MiB", 2 * MIB, "3 MiB"], "cache")
    assert [grant.bytes for grant in grants] == [MIB, 2 * MIB, 3 * MIB]
    with pytest.raises(allotment.Denied):
        tenant.request_all(["1 MiB", "1 GiB"], "cache")
    assert tenant.used == 6 * MIB
    del grants
    assert tenant.used == 0


def test_try_acquire_answers_none(tenant: allotment.Tenant) -> None:
    first = tenant.try_acquire("64 MiB", "inference")
    assert first is not None
    assert tenant.try_acquire(1, "inference") is None
    assert first.release()


def test_a_weak_reference_dies_with_the_grant(tenant: allotment.Tenant) -> None:
    grant = tenant.request(MIB, "cache")
    gone = []
    weak = weakref.ref(grant, lambda _: gone.append(True))
    assert weak() is grant
    del grant
    assert weak() is None and gone == [True]
    assert weakref.ref(tenant)() is tenant
    assert weakref.ref(tenant.governor)() is tenant.governor


def test_a_cycle_through_a_handler_is_collected() -> None:
    def cycle() -> "weakref.ref[allotment.Governor]":
        governor = allotment.Governor("64 MiB")
        tenant = governor.register_tenant("chat")
        grant = tenant.request(MIB, "cache")
        governor.on_reclaim(lambda victim: ("freed", governor, grant)[0])
        tenant.on_reclaim(lambda victim: ("busy", tenant)[0])
        governor.on_pressure(lambda level: governor.balance())
        return weakref.ref(governor)

    weak = cycle()
    gc.collect()
    assert weak() is None


@pytest.mark.parametrize("way", [pickle.dumps, copy.copy, copy.deepcopy])
def test_nothing_can_be_pickled_or_copied(tenant: allotment.Tenant, way: object) -> None:
    group = tenant.governor.register_group("org")
    with tenant.request(MIB, "cache") as grant:
        for thing in (grant, tenant, group, tenant.governor):
            with pytest.raises(TypeError, match="in this process"):
                way(thing)  # type: ignore[operator]


@pytest.mark.parametrize("kind", [allotment.Grant, allotment.Tenant, allotment.Group])
def test_only_a_governor_is_made_by_its_class(kind: type) -> None:
    with pytest.raises(TypeError):
        kind()


def test_errors_and_views_can_be_pickled(tenant: allotment.Tenant) -> None:
    with pytest.raises(allotment.Denied) as denied:
        tenant.request("1 GiB", "cache")
    again = pickle.loads(pickle.dumps(denied.value))
    assert type(again) is allotment.Denied
    assert (again.denial, again.code, str(again)) == (
        denied.value.denial,
        "denied",
        str(denied.value),
    )
    with pytest.raises(allotment.MisuseError) as misuse:
        tenant.request(0, "cache")
    again = pickle.loads(pickle.dumps(misuse.value))
    assert (again.code, str(again)) == ("zero_bytes", str(misuse.value))
    snapshot = tenant.governor.snapshot()
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot


def test_representations(tenant: allotment.Tenant) -> None:
    governor = tenant.governor
    with tenant.request(4096, "cache") as grant:
        assert repr(grant) == "<allotment.Grant of chat, 4096 bytes for cache>"
        assert repr(governor) == "<allotment.Governor, 4096 of 67108864 bytes in use>"
    assert repr(grant).endswith("of chat, ended>")
    assert repr(tenant).endswith(' "chat">')
    assert repr(governor.register_group("org")).startswith("<allotment.Group ")
    assert "to be awaited" in repr(tenant.acquire_async(1, "cache"))
    governor.close()
    assert repr(governor) == "<allotment.Governor, closed>"


def test_equal_is_who_is_the_same(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat")
    same = governor.tenant("chat")
    assert same == chat and hash(same) == hash(chat) and len({same, chat}) == 1
    assert chat != governor.register_tenant("other")
    assert chat != "chat" and governor.tenant("nobody") is None
    org = governor.register_group("org")
    assert governor.group("org") == org and governor.group("nobody") is None


def test_who_waits_is_served_by_a_release(tenant: allotment.Tenant) -> None:
    full = tenant.request("64 MiB", "inference")
    got = []

    def wait() -> None:
        with tenant.acquire("1 MiB", "inference", timeout=30) as grant:
            got.append(grant.bytes)

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: waiters(tenant.governor) == 1)
    full.release()
    thread.join(10)
    assert got == [MIB]

"""Sizes, times and words, as they are written down."""

from __future__ import annotations

from datetime import timedelta
from typing import List

import numpy
import pytest
from conftest import MIB

import allotment
from allotment import Isolation, Kind, Policy, Priority


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        (1, 1),
        ("1", 1),
        ("4 KiB", 4096),
        ("4KiB", 4096),
        (" 4 kib ", 4096),
        ("2 MB", 2_000_000),
        ("1.5 KiB", 1536),
        ("0.0009765625 KiB", 1),
        ("1_000", 1000),
        ("0.001 kB", 1),
        ("1.000", 1),
        (numpy.int64(4096), 4096),
        (numpy.uint64(4096), 4096),
        ("0.000001 TB", 1_000_000),
    ],
)
def test_a_size_is_exact(tenant: allotment.Tenant, written: object, exact: int) -> None:
    with tenant.request(written, "cache") as grant:  # type: ignore[arg-type]
        assert grant.bytes == exact


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "GiB",
        "4 GaB",
        "-1",
        "1e9",
        "4 4 KiB",
        "1.5",
        "0.3 KiB",
        "1.",
        ".5 MiB",
        "1.2.3 MiB",
        "0.0000000000000000000000000001 TiB",
        "99999999999999999999 TiB",
        "20000000 TiB",
        "340282366920938463463374607431768211456",
        "٤ KiB",
        -1,
        1 << 64,
    ],
)
def test_what_is_no_size_is_named(tenant: allotment.Tenant, wrong: object) -> None:
    with pytest.raises(ValueError) as raised:
        tenant.request(wrong, "cache")  # type: ignore[arg-type]
    assert str(wrong) in str(raised.value)
    assert tenant.used == 0


@pytest.mark.parametrize("wrong", [1.0, None, True, b"4 KiB", [1], numpy.float64(1)])
def test_what_is_of_no_type_for_a_size(tenant: allotment.Tenant, wrong: object) -> None:
    with pytest.raises(TypeError, match="a size is an int of bytes or a text"):
        tenant.request(wrong, "cache")  # type: ignore[arg-type]


def test_what_a_size_says_of_itself_is_raised(tenant: allotment.Tenant) -> None:
    class Broken:
        def __index__(self) -> int:
            raise ZeroDivisionError("within __index__")

    with pytest.raises(ZeroDivisionError, match="within __index__"):
        tenant.request(Broken(), "cache")


@pytest.mark.parametrize("kind", list(Kind))
def test_a_word_is_as_good_as_the_member(tenant: allotment.Tenant, kind: Kind) -> None:
    for written in (kind, kind.value, str(kind), "".join(kind.value)):
        with tenant.request(1, written) as grant:  # type: ignore[arg-type]
            assert grant.kind is kind


def test_a_word_that_is_none(tenant: allotment.Tenant) -> None:
    with pytest.raises(ValueError, match="there is no kind 'cash': choose one of 'model_load'"):
        tenant.request(1, "cash")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="kind is a text"):
        tenant.request(1, 2)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        tenant.request(1)  # type: ignore[call-arg]


def test_times(tenant: allotment.Tenant) -> None:
    for timeout in (1, 0.5, timedelta(seconds=1), None, float("inf"), numpy.float32(1)):
        tenant.acquire(1, "cache", timeout=timeout).release()  # type: ignore[arg-type]
    for wrong in (-1, -0.5, float("nan"), timedelta(seconds=-1)):
        with pytest.raises(ValueError, match="timeout"):
            tenant.acquire(1, "cache", timeout=wrong)
    others: List[object] = ["1", True, [], b""]
    for other in others:
        with pytest.raises(TypeError, match="timeout"):
            tenant.acquire(1, "cache", timeout=other)  # type: ignore[arg-type]


def test_options(tenant: allotment.Tenant) -> None:
    most = (1 << 64) - 1
    tenant.request(1, "cache", key=most, cookie=most, cost=9, ttl=60, pinned=True).release()
    tenant.request(1, "model_load", evictable=True, ttl=None).release()
    for name, wrong in (("key", -1), ("cookie", 1 << 64), ("cost", 1 << 32)):
        with pytest.raises(ValueError, match=name):
            tenant.request(1, "cache", **{name: wrong})  # type: ignore[arg-type]
    for name, other in (("key", 1.0), ("pinned", 1), ("evictable", None), ("cost", True)):
        with pytest.raises(TypeError, match=name):
            tenant.request(1, "cache", **{name: other})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        tenant.request(1, "cache", colour=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="'timeout'"):
        tenant.request(1, "cache", timeout=1)  # type: ignore[call-arg]


def test_everything_that_is_set_of_a_tenant(governor: allotment.Governor) -> None:
    org = governor.register_group("org", guarantee="16 MiB", limit="32 MiB")
    tenant = governor.register_tenant(
        "chat",
        group=org,
        guarantee="8 MiB",
        limit="16 MiB",
        burst="24 MiB",
        priority="critical",
        isolation=Isolation.SOFT,
        policy=Policy.LRU,
        grants_max={"cache": 1, Kind.BACKGROUND: 0},
        rate=1000,
        rate_depth=100,
    )
    usage = tenant.usage()
    assert (usage.guarantee, usage.limit, usage.group) == (8 * MIB, 24 * MIB, "org")
    assert usage.priority is Priority.CRITICAL and usage.isolation is Isolation.SOFT
    with tenant.request(1, "cache"):
        with pytest.raises(allotment.Denied) as denied:
            tenant.try_acquire(1, "cache") or tenant.request(1, "cache", pinned=True)
        assert denied.value.denial.reason is allotment.Reason.GRANT_COUNT
    tenant.update(name="talk", limit=None, burst=None, grants_max={}, rate=None, guarantee=0)
    assert (tenant.name, tenant.usage().name, tenant.usage().limit) == ("talk", "talk", None)
    assert governor.snapshot().tenant("talk").guarantee == 0
    with pytest.raises(KeyError):
        governor.snapshot().tenant("chat")
    tenant.unregister()
    org.update(guarantee=0)
    assert org.name == "org"
    org.unregister()
    with pytest.raises(allotment.Gone):
        org.update(limit=1)


def test_what_cannot_be_set(governor: allotment.Governor) -> None:
    register = governor.register_tenant
    with pytest.raises(allotment.MisuseError, match="limit_bytes") as raised:
        register("chat", guarantee=2, limit=1)
    assert raised.value.code == "config"
    with pytest.raises(ValueError, match="no name"):
        register("")
    with pytest.raises(ValueError, match="no name"):
        register("chat\0")
    with pytest.raises(TypeError, match="unexpected keyword argument 'limits'"):
        register("chat", limits=1)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="there is no priority 'urgent'"):
        register("chat", priority="urgent")  # type: ignore[arg-type]
    for rate in (0, -1, 2e9, float("nan")):
        with pytest.raises(ValueError, match="rate"):
            register("chat", rate=rate)
    with pytest.raises(ValueError, match="rate_depth goes with rate"):
        register("chat", rate_depth=2)
    with pytest.raises(TypeError, match="grants_max is a dict"):
        register("chat", grants_max=3)  # type: ignore[arg-type]
    register("chat")
    with pytest.raises(allotment.MisuseError) as again:
        register("chat")
    assert again.value.code == "duplicate_tenant"
    assert len(governor.snapshot().tenants) == 1


def test_how_a_governor_is_set_up() -> None:
    with pytest.raises(allotment.MisuseError, match="capacity_bytes"):
        allotment.Governor(0)
    with pytest.raises(allotment.MisuseError, match="high_percent"):
        allotment.Governor("1 MiB", high_percent=99, critical_percent=98)
    with pytest.raises(ValueError, match="tenants_max"):
        allotment.Governor("1 MiB", tenants_max=1 << 40)
    with pytest.raises(TypeError, match="unexpected keyword argument 'tenants'"):
        allotment.Governor("1 MiB", tenants=1)  # type: ignore[call-arg]
    small = allotment.Governor("1 MiB", tenants_max=1, patience=0.5, idle_claim=None)
    small.register_tenant("one")
    with pytest.raises(allotment.StateError, match="larger tenants_max") as raised:
        small.register_tenant("two")
    assert raised.value.code == "table_full"


def test_a_governor_by_a_configuration_file() -> None:
    text = '''
        capacity = "24MiB"
        [[groups]]
        name = "org"
        guarantee = "8MiB"
        [[tenants]]
        name = "chat"
        group = "org"
        guarantee = "8MiB"
    '''
    governor = allotment.Governor.from_toml(text, events_max=16)
    chat = governor.tenant("chat")
    assert chat is not None and chat.usage().group == "org" and governor.group("org") is not None
    assert (chat.name, governor.snapshot().capacity) == ("chat", 24 * MIB)
    with pytest.raises(allotment.MisuseError, match="configuration:2: `capacity`"):
        allotment.Governor.from_toml('\ncapacity = "many"')

"""What is denied, what is explained, what is counted."""

from __future__ import annotations

import dataclasses
import json
from typing import List

import pytest
from conftest import MIB

import allotment
from allotment import Denial, Pressure, Priority, Reason


def denial_of(tenant: allotment.Tenant, size: object) -> Denial:
    with pytest.raises(allotment.Denied) as denied:
        tenant.request(size, "inference")  # type: ignore[arg-type]
    return denied.value.denial


def test_every_field_of_a_denial(governor: allotment.Governor) -> None:
    host = governor.register_tenant("host", limit="6 MiB", isolation="hard")
    with host.request("4 MiB", "inference"):
        assert denial_of(host, "3 MiB") == Denial(
            reason=Reason.TENANT_LIMIT,
            account="host",
            account_kind="tenant",
            asked=3 * MIB,
            short=1 * MIB,
            available=2 * MIB,
            limit=6 * MIB,
            waiting_can_help=True,
            retry_after=None,
            pinned_grants=0,
            pinned=0,
            pinned_first=None,
        )
        assert not denial_of(host, "7 MiB").waiting_can_help
        assert str(denial_of(host, "7 MiB")) == (
            "7.0 MiB refused by the tenant's own limit, 5.0 MiB short; waiting cannot help"
        )


def test_the_account_has_its_name(governor: allotment.Governor) -> None:
    org = governor.register_group("org", limit="8 MiB")
    host = governor.register_tenant("host", group=org)
    denial = denial_of(host, "9 MiB")
    assert (denial.reason, denial.account, denial.account_kind) == (
        Reason.GROUP_LIMIT,
        "org",
        "group",
    )
    org.update(limit=None)
    denial = denial_of(host, "65 MiB")
    assert (denial.reason, denial.account, denial.account_kind) == (
        Reason.CAPACITY,
        "the pool",
        "pool",
    )


def test_a_rate_says_when(governor: allotment.Governor) -> None:
    host = governor.register_tenant("host", rate=0.5)
    host.request(1, "inference").release()
    denial = denial_of(host, 1)
    assert denial.reason is Reason.RATE_LIMIT
    assert denial.retry_after is not None and 1 < denial.retry_after <= 2


def test_misuse_is_a_value_error(tenant: allotment.Tenant) -> None:
    for size, code in ((0, "zero_bytes"), (1 << 60, "too_large")):
        with pytest.raises(ValueError) as raised:
            tenant.request(size, "inference")
        assert isinstance(raised.value, allotment.MisuseError)
        assert raised.value.code == code
        with pytest.raises(allotment.MisuseError):
            tenant.try_acquire(size, "inference")
        with pytest.raises(allotment.MisuseError):
            tenant.acquire(size, "inference")


def test_every_error_is_an_allotment_error() -> None:
    for name in allotment.__all__:
        thing = getattr(allotment, name)
        if isinstance(thing, type) and issubclass(thing, BaseException):
            assert issubclass(thing, allotment.AllotmentError)
    assert issubclass(allotment.Timeout, TimeoutError)
    assert issubclass(allotment.Timeout, allotment.Denied)


def test_explain(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat", priority="high")
    cache = governor.register_tenant("cache", priority="low")
    with cache.request("40 MiB", "cache") as block:
        would = governor.explain("chat", "30 MiB", "inference")
        assert would == chat.explain(30 * MIB, "inference")
        assert (would.reason, would.short, would.missing) == (Reason.CAPACITY, 6 * MIB, 0)
        assert [(holder.tenant, holder.bytes) for holder in would.holders] == [("cache", 40 * MIB)]
        assert [victim.grant for victim in would.victims] == [block.id]
        assert "evicting 1 grant (40.0 MiB) would admit it" in str(would)
        assert chat.attainable("60 MiB", "inference") == 60 * MIB
        assert block.is_live
    assert chat.explain(1, "inference").reason is None
    assert chat.estimated_wait(1, "inference") == 0
    assert chat.estimated_wait("65 MiB", "inference") is None


def test_a_snapshot_is_plain_data(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat", guarantee="8 MiB", priority="critical")
    with chat.request("4 MiB", "inference"):
        denial_of(chat, "65 MiB")
        seen = governor.snapshot()
        assert (seen.capacity, seen.live, seen.groups, seen.waiters) == (64 * MIB, 4 * MIB, 0, 0)
        assert seen.pressure is Pressure.NORMAL
        assert seen.tenants == (chat.usage(),)
        usage = seen.tenant("chat")
        assert (usage.used, usage.peak, usage.granted, usage.denied) == (4 * MIB, 4 * MIB, 1, 1)
        assert (usage.priority, usage.handle) == (Priority.CRITICAL, chat.handle)
        read = json.loads(json.dumps(dataclasses.asdict(seen)))
        assert read["tenants"][0]["priority"] == "critical"
        with pytest.raises(dataclasses.FrozenInstanceError):
            seen.live = 0  # type: ignore[misc]


def test_measured(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat")
    with chat.request("4 MiB", "inference"):
        chat.report_measured("6 MiB")
        assert chat.usage().unaccounted == 2 * MIB
        governor.report_measured("60 MiB")
        assert governor.snapshot().measured == 60 * MIB
        chat.report_measured(None)
        governor.report_measured(None)
        assert chat.usage().measured is None


def test_pressure(governor: allotment.Governor) -> None:
    told: List[Pressure] = []

    @governor.on_pressure
    def listen(level: Pressure) -> None:
        told.append(level)

    governor.report_pressure("critical")
    assert governor.pressure is Pressure.CRITICAL
    governor.report_pressure(Pressure.NORMAL)
    governor.clear_on_pressure()
    governor.report_pressure("high")
    assert told == [Pressure.CRITICAL, Pressure.NORMAL]
    assert governor.balance().pressure is Pressure.HIGH


def test_capacity_changes(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat", guarantee="8 MiB")
    governor.set_capacity("8 MiB")
    denial_of(chat, "9 MiB")
    with pytest.raises(allotment.MisuseError) as raised:
        governor.set_capacity("4 MiB")
    assert raised.value.code == "guarantees_exceed"


def test_events_are_followed() -> None:
    governor = allotment.Governor("64 MiB", events_max=8)
    chat = governor.register_tenant("chat")
    reader = governor.events()
    assert [event.kind for event in reader] == ["registered"]
    with chat.request("4 MiB", "cache") as grant:
        granted = list(reader)
        assert [(event.kind, event.bytes, event.grant) for event in granted] == [
            ("granted", 4 * MIB, grant.id)
        ]
        assert granted[0].account == chat.slot
        denial_of(chat, "65 MiB")
    assert [event.kind for event in reader] == ["denied", "released"]
    assert list(reader) == []
    for _ in range(20):
        chat.request(1, "cache").release()
    events = list(reader)
    assert events[0].kind == "lost" and events[0].detail + len(events) - 1 == 40


def test_unregister(governor: allotment.Governor) -> None:
    chat = governor.register_tenant("chat")
    grant = chat.request(MIB, "cache")
    with pytest.raises(allotment.StateError) as raised:
        chat.unregister()
    assert raised.value.code == "grants_live"
    chat.unregister("force")
    assert grant.bytes == 0 and grant.release() is False
    for call in (lambda: chat.request(1, "cache"), lambda: chat.used, chat.usage):
        with pytest.raises(allotment.Gone):
            call()
    assert chat.name == "a tenant that is gone"

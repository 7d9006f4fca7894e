"""What all tests share: a governor of 64 MiB with a tenant, and that nothing is left behind."""

from __future__ import annotations

import gc
import sys
import threading
import time
from typing import Callable, Iterator, List

import pytest

import allotment

MIB = 1 << 20


def wait_until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for what another thread does."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.002)


def waiters(governor: allotment.Governor) -> int:
    """Requests that wait now."""
    return governor.snapshot().waiters


@pytest.fixture
def governor() -> Iterator[allotment.Governor]:
    """A governor whose ledger is empty at the end, once nobody has a grant of it any more."""
    governor = allotment.Governor("64 MiB", pool_pressure=False)
    yield governor
    if not governor.is_closed:
        gc.collect()
        assert governor.snapshot().live == 0, "grants are left"
        assert waiters(governor) == 0, "somebody waits still"
    assert threading.active_count() == 1, "a thread is left"


@pytest.fixture
def tenant(governor: allotment.Governor) -> allotment.Tenant:
    """A tenant of it without guarantee or limit."""
    return governor.register_tenant("chat")


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> Iterator[List[BaseException]]:
    """What callables have raised where nobody can catch it."""
    raised: List[BaseException] = []

    def note(what: sys.UnraisableHookArgs) -> None:
        assert what.exc_value is not None
        raised.append(what.exc_value)

    monkeypatch.setattr(sys, "unraisablehook", note)
    yield raised
    # They hold frames, and those the grants of the test.
    raised.clear()

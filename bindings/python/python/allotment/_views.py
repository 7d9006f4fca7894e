"""What is seen of a governor, as plain data: frozen, comparable, and good for ``asdict``.

All sizes are in bytes, all times in seconds. The native module makes these by position: the order
of the fields is the order there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from ._choices import Isolation, Kind, Pressure, Priority, Reason


def show_bytes(count: int) -> str:
    """A number of bytes for people, with the largest unit that it reaches, rounded down."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >> shift:
            tenths = ((count & ((1 << shift) - 1)) * 10) >> shift
            return f"{count >> shift}.{tenths} {unit}"
    return f"{count} B"


@dataclass(frozen=True)
class Denial:
    """Why a request was denied."""

    reason: Reason
    """Which check refused."""
    account: str
    """The name of the account at which it refused: of a tenant, a group, or ``"the pool"``."""
    account_kind: str
    """``"pool"``, ``"group"`` or ``"tenant"``."""
    asked: int
    """What was asked for, in bytes."""
    short: int
    """What is missing at that account, in bytes; 0 where bytes are not what is short."""
    available: int
    """What that account had left, in bytes."""
    limit: int
    """The limit that applied: bytes, or grants for :attr:`Reason.GRANT_COUNT`."""
    waiting_can_help: bool
    """Whether the same request can succeed later without a change of configuration."""
    retry_after: Optional[float]
    """When it can, in seconds from now, if that is known."""
    pinned_grants: int
    """Grants in the way that are pinned or kept alive."""
    pinned: int
    """Their bytes."""
    pinned_first: Optional[int]
    """One of them, by its number: :attr:`Grant.id`."""

    def __str__(self) -> str:
        """What was asked for, which check refused, what is short, and whether waiting can help."""
        short = f", {show_bytes(self.short)} short" if self.short else ""
        held = f", {show_bytes(self.pinned)} in the way are pinned" if self.pinned_grants else ""
        helps = "can help" if self.waiting_can_help else "cannot help"
        return (
            f"{show_bytes(self.asked)} refused by {_SAID[self.reason]}{short}{held}; "
            f"waiting {helps}"
        )


_SAID = {
    Reason.TENANT_LIMIT: "the tenant's own limit",
    Reason.GROUP_LIMIT: "the limit of a group above the tenant",
    Reason.CAPACITY: "the capacity of the whole",
    Reason.GRANT_COUNT: "the tenant's limit on grants of this kind",
    Reason.RATE_LIMIT: "the tenant's rate of requests",
    Reason.SLOTS_EXHAUSTED: "the table of grants, which is full",
    Reason.CONTENDED: "other threads at the same account",
    Reason.WAITED_TOO_LONG: "the time that it was to wait",
    Reason.WAITERS_EXHAUSTED: "the line, where as many wait as can",
    Reason.AUDIT_FULL: "the audit log, which has no room",
}


@dataclass(frozen=True)
class Victim:
    """A grant that was chosen to go."""

    tenant: str
    """The name of who holds it."""
    handle: int
    """The same, by its number: :attr:`Tenant.handle`."""
    grant: int
    """The grant, by its number: :attr:`Grant.id`."""
    kind: Kind
    """What it was requested for."""
    bytes: int
    """What it holds."""
    cookie: int
    """The number that the caller gave it."""
    key: int
    """The name of its content."""


@dataclass(frozen=True)
class TenantUsage:
    """One tenant, at one time. Sizes are in bytes."""

    name: str
    handle: int
    id: str
    """Its id, as a UUID in text."""
    group: Optional[str]
    """The name of its group, if it has one."""
    used: int
    """In live grants."""
    peak: int
    """The most in use at once."""
    guarantee: int
    """Floor."""
    limit: Optional[int]
    """Ceiling in force; none: the parent's."""
    limit_lowered: bool
    """Whether that is lower than configured, because the tenant asks for nothing."""
    claimed: int
    """Paid for: in use, guaranteed, or idle."""
    set_aside: int
    """Kept for a request of the tenant that has waited long."""
    share: int
    """Fair share as of the last step of the balancer."""
    measured: Optional[int]
    """What was measured, if it is measured."""
    unaccounted: int
    """Measured, and in no grant."""
    priority: Priority
    isolation: Isolation
    granted: int
    """Requests granted so far."""
    denied: int
    """Requests denied so far."""
    evicted: int
    """Grants evicted so far."""
    evicted_bytes: int
    """Bytes of those."""


@dataclass(frozen=True)
class Snapshot:
    """The whole, at one time. Sizes are in bytes."""

    capacity: int
    """What there is to share."""
    live: int
    """In live grants."""
    claimed: int
    """Claimed by tenants and groups: in use, guaranteed, or idle."""
    measured: Optional[int]
    """What was measured of the process, if it is measured."""
    unaccounted: int
    """Measured, and in no grant."""
    shortfalls: int
    """Frees that were not seen in what was measured, so far."""
    pressure: Pressure
    """In force."""
    share: int
    """Fair share for each unit of weight beyond the guarantees."""
    waiters: int
    """Requests that wait."""
    reclaim_timeouts: int
    """Owners that were asked for a grant and did not answer in time, so far."""
    groups: int
    """Registered groups."""
    tenants: Tuple[TenantUsage, ...]
    """Registered tenants, in the order of their slots."""

    def tenant(self, name: str) -> TenantUsage:
        """The tenant of that name; raises :class:`KeyError` if there is none."""
        for tenant in self.tenants:
            if tenant.name == name:
                return tenant
        raise KeyError(name)


@dataclass(frozen=True)
class Holder:
    """A tenant that holds memory."""

    tenant: str
    """Its name."""
    bytes: int
    """What it holds."""
    share_percent: float
    """Percent of what is held below the account that refuses."""


@dataclass(frozen=True)
class PlannedVictim:
    """A grant that would be evicted."""

    grant: int
    """The grant, by its number."""
    tenant: str
    """The name of who holds it."""
    kind: Kind
    """What it was requested for."""
    bytes: int
    """What it holds."""


@dataclass(frozen=True)
class Explanation:
    """What would decide a request now. ``str()`` of it is a report for people."""

    tenant: str
    """The name of who asks."""
    kind: Kind
    """For what."""
    asked: int
    """What is asked for, in bytes."""
    reason: Optional[Reason]
    """The check that refuses; none: the request would be granted at once."""
    account: str
    """The name of the account that refuses."""
    short: int
    """Bytes missing there."""
    used: int
    """Bytes in use there, guarantees that are not used included."""
    limit: int
    """Its limit in force: bytes, or grants for :attr:`Reason.GRANT_COUNT`."""
    waiting_can_help: bool
    """Whether the same request can succeed later without a change of configuration."""
    holders: Tuple[Holder, ...]
    """The largest holders below that account, largest first."""
    victims: Tuple[PlannedVictim, ...]
    """The first of what would be evicted, in order."""
    victim_grants: int
    """How many would be evicted."""
    victim_bytes: int
    """Their bytes."""
    missing: int
    """Bytes still missing after all of them; 0: the request would be granted."""
    pinned_grants: int
    """Grants that could have made room but are pinned or kept alive."""
    pinned: int
    """Their bytes."""
    text: str
    """The report."""

    def __str__(self) -> str:
        """The report, for people."""
        return self.text


@dataclass(frozen=True)
class Balance:
    """What a step of the balancer saw and did."""

    pressure: Pressure
    """Before anything was freed."""
    live: int
    """Bytes in live grants before anything was freed."""
    evicted: int
    """Grants that ended."""
    freed: int
    """Bytes that are free now."""
    deferred: int
    """Bytes whose owners promised to free them."""
    reservations_expired: int
    """Reservations that were given back because nobody committed them."""


@dataclass(frozen=True)
class Event:
    """Something that happened. Fields that mean nothing for a kind are 0."""

    kind: str
    """What, as a word: ``"granted"``, ``"evicted"``; ``"lost"``: so many in ``detail`` are."""
    sequence: int
    """Its place among all events."""
    time: float
    """When, in seconds of the governor's clock."""
    account: int
    """The slot of the account concerned: :attr:`Tenant.slot`, 0 for the pool."""
    grant: int
    """The grant concerned, by its number."""
    bytes: int
    """Asked for, granted, released."""
    used: int
    """What the account used when this was recorded, in bytes."""
    before: int
    """The state before, for changes of state."""
    after: int
    """The state after, for changes of state."""
    reason: int
    """The number of the check that refused, for denials."""
    detail: int
    """One more number, by kind."""

"""A memory governor: many tenants share one memory, and nobody over-commits it.

::

    governor = Governor("24 GiB")
    chat = governor.register_tenant("chat", guarantee="8 GiB", priority="critical")
    with chat.acquire("4 GiB", "inference", timeout=30) as grant:
        ...

Sizes are ints of bytes or texts such as ``"4 GiB"``, times are seconds. Every object may be used by
any thread. README.md of the binding has the rules for threads, coroutines and forks.
"""

import atexit

from ._balancing import KeepingBalanced
from ._choices import (
    Isolation,
    Kind,
    Policy,
    Pressure,
    Priority,
    Reason,
    Reclaim,
    Unregister,
)
from ._errors import (
    AllotmentError,
    Closed,
    Denied,
    Evicted,
    ForkedError,
    Gone,
    MisuseError,
    StaleGrant,
    StateError,
    Timeout,
)
from ._events import EventReader
from ._native import Governor, Grant, Group, Tenant, _close_door
from ._views import (
    Balance,
    Denial,
    Event,
    Explanation,
    Holder,
    PlannedVictim,
    Snapshot,
    TenantUsage,
    Victim,
)
from ._waiting import Acquiring

__all__ = [
    "Acquiring",
    "AllotmentError",
    "Balance",
    "Closed",
    "Denial",
    "Denied",
    "Event",
    "EventReader",
    "Evicted",
    "Explanation",
    "ForkedError",
    "Gone",
    "Governor",
    "Grant",
    "Group",
    "Holder",
    "Isolation",
    "KeepingBalanced",
    "Kind",
    "MisuseError",
    "PlannedVictim",
    "Policy",
    "Pressure",
    "Priority",
    "Reason",
    "Reclaim",
    "Snapshot",
    "StaleGrant",
    "StateError",
    "Tenant",
    "TenantUsage",
    "Timeout",
    "Unregister",
    "Victim",
]

# The last that Python does before it ends: a thread of the library may not come to it after that.
atexit.register(_close_door)

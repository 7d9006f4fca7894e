# The native module, as type checkers see it; test.sh compares the two.

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Callable, Literal, Optional, SupportsIndex, TypeVar, Union, final

from ._balancing import KeepingBalanced
from ._choices import Isolation, Kind, Policy, Pressure, Priority, Unregister
from ._events import EventReader
from ._views import Balance, Event, Explanation, Snapshot, TenantUsage, Victim
from ._waiting import Acquiring

__all__ = ["_close_door", "Governor", "Grant", "Group", "Tenant", "Ticket", "Wish"]

_Size = Union[SupportsIndex, str]
_Time = Union[float, timedelta]
_Kind = Union[Kind, Literal["model_load", "inference", "cache", "background"]]
_Priority = Union[Priority, Literal["low", "normal", "high", "critical"]]
_Isolation = Union[Isolation, Literal["none", "soft", "hard"]]
_Policy = Union[Policy, Literal["lru", "lfu", "ttl", "size", "hybrid"]]
_Pressure = Union[Pressure, Literal["normal", "high", "critical"]]
_Unregister = Union[Unregister, Literal["if_idle", "drain", "force"]]
_Handler = TypeVar("_Handler", bound=Callable[[Victim], str])
_Listener = TypeVar("_Listener", bound=Callable[[Pressure], object])

@final
class Governor:
    def __new__(
        cls,
        capacity: _Size,
        *,
        tenants_max: int = 16384,
        groups_max: int = 1024,
        grants_max: int = 1048576,
        ghost_keys_max: int = 262144,
        events_max: int = 0,
        waiters_max: int = 4096,
        victims_max: int = 65536,
        patience: _Time = 10,
        quantum: _Size = "1 MiB",
        headroom: _Size = 0,
        busy_cooldown: _Time = 1,
        promise: Optional[_Time] = 10,
        freed_shows: _Time = 10,
        idle_claim: Optional[_Time] = 10,
        inactive_limit: Optional[_Time] = None,
        pool_pressure: bool = True,
        warning_percent: int = 80,
        high_percent: int = 90,
        critical_percent: int = 95,
        hysteresis_percent: int = 5,
        high_relief_percent: int = 20,
        critical_relief_percent: int = 40,
        manual_clock: bool = False,
    ) -> Governor: ...
    @staticmethod
    def from_toml(text: str, **settings: Any) -> Governor: ...
    def close(self) -> None: ...
    @property
    def is_closed(self) -> bool: ...
    def __enter__(self) -> Governor: ...
    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
        /,
    ) -> None: ...
    def register_tenant(
        self,
        name: str,
        *,
        group: Optional[Group] = None,
        id: Optional[uuid.UUID] = None,
        guarantee: _Size = 0,
        limit: Optional[_Size] = None,
        burst: Optional[_Size] = None,
        priority: _Priority = "normal",
        isolation: _Isolation = "soft",
        policy: _Policy = "hybrid",
        grants_max: Mapping[_Kind, int] = {},
        rate: Optional[float] = None,
        rate_depth: int = 1,
    ) -> Tenant: ...
    def register_group(
        self,
        name: str,
        *,
        parent: Optional[Group] = None,
        guarantee: _Size = 0,
        limit: Optional[_Size] = None,
    ) -> Group: ...
    def tenant(self, name: str) -> Optional[Tenant]: ...
    def group(self, name: str) -> Optional[Group]: ...
    def acquire(
        self,
        tenant: Union[Tenant, str],
        size: _Size,
        kind: _Kind,
        *,
        timeout: Optional[_Time] = None,
        key: int = 0,
        cookie: int = 0,
        ttl: Optional[_Time] = None,
        cost: int = 1,
        evictable: bool = False,
        pinned: bool = False,
    ) -> Grant: ...
    def acquire_async(
        self,
        tenant: Union[Tenant, str],
        size: _Size,
        kind: _Kind,
        *,
        timeout: Optional[_Time] = None,
        key: int = 0,
        cookie: int = 0,
        ttl: Optional[_Time] = None,
        cost: int = 1,
        evictable: bool = False,
        pinned: bool = False,
    ) -> Acquiring: ...
    def try_acquire(
        self,
        tenant: Union[Tenant, str],
        size: _Size,
        kind: _Kind,
        *,
        key: int = 0,
        cookie: int = 0,
        ttl: Optional[_Time] = None,
        cost: int = 1,
        evictable: bool = False,
        pinned: bool = False,
    ) -> Optional[Grant]: ...
    def explain(self, tenant: Union[Tenant, str], size: _Size, kind: _Kind) -> Explanation: ...
    def on_reclaim(self, handler: _Handler, *, within: Optional[_Time] = None) -> _Handler: ...
    def clear_on_reclaim(self) -> None: ...
    def next_victim(self) -> Optional[Victim]: ...
    def on_pressure(self, handler: _Listener) -> _Listener: ...
    def clear_on_pressure(self) -> None: ...
    def report_pressure(self, machine: _Pressure) -> None: ...
    @property
    def pressure(self) -> Pressure: ...
    def report_measured(self, bytes: Optional[_Size]) -> None: ...
    def balance(self) -> Balance: ...
    def keep_balanced(self, every: float = 1.0) -> KeepingBalanced: ...
    def snapshot(self) -> Snapshot: ...
    def _events(
        self, mark: tuple[int, int], most: int
    ) -> tuple[list[Event], tuple[int, int]]: ...
    def events(self) -> EventReader: ...
    def set_capacity(self, capacity: _Size) -> None: ...
    def now(self) -> float: ...
    def advance_clock(self, by: _Time) -> None: ...

@final
class Group:
    @property
    def handle(self) -> int: ...
    @property
    def governor(self) -> Governor: ...
    @property
    def name(self) -> str: ...
    def update(self, *, guarantee: _Size = 0, limit: Optional[_Size] = None) -> None: ...
    def unregister(self) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Tenant:
    @property
    def handle(self) -> int: ...
    @property
    def slot(self) -> int: ...
    @property
    def governor(self) -> Governor: ...
    @property
    def name(self) -> str: ...
    @property
    def used(self) -> int: ...
    def acquire(
        self,
        size: _Size,
        kind: _Kind,
        *,
        timeout: Optional[_Time] = None,
        key: int = 0,
        cookie: int = 0,
        ttl: Optional[_Time] = None,
        cost: int = 1,
        evictable: bool = False,
        pinned: bool = False,
    ) -> Grant: ...
    def acquire_async(
        self,
        size: _Size,
        kind: _Kind,
        *,
        timeout: Optional[_Time] = None,
        key: int = 0,
        cookie: int = 0,
        ttl: Optional[_Time] = None,
        cost: int = 1,
        evictable: bool = False,
        pinned: bool = False,
    ) -> Acquiring: ...
    def try_acquire(
        self,
        size: _Size,
        kind: _Kind,
        *,
        key: int = 0,
        cookie: int = 0,
        ttl: Optional[_Time] = None,
        cost: int = 1,
        evictable: bool = False,
        pinned: bool = False,
    ) -> Optional[Grant]: ...
    def request(
        self,
        size: _Size,
        kind: _Kind,
        *,
        key: int = 0,
        cookie: int = 0,
        ttl: Optional[_Time] = None,
        cost: int = 1,
        evictable: bool = False,
        pinned: bool = False,
    ) -> Grant: ...
    def request_all(self, sizes: Sequence[_Size], kind: _Kind) -> list[Grant]: ...
    def reserve(self, size: _Size, kind: _Kind, *, ttl: _Time) -> Grant: ...
    def attainable(self, size: _Size, kind: _Kind) -> int: ...
    def estimated_wait(self, size: _Size, kind: _Kind) -> Optional[float]: ...
    def explain(self, size: _Size, kind: _Kind) -> Explanation: ...
    def usage(self) -> TenantUsage: ...
    def update(
        self,
        *,
        name: str = ...,
        guarantee: _Size = ...,
        limit: Optional[_Size] = ...,
        burst: Optional[_Size] = ...,
        priority: _Priority = ...,
        isolation: _Isolation = ...,
        policy: _Policy = ...,
        grants_max: Mapping[_Kind, int] = ...,
        rate: Optional[float] = ...,
        rate_depth: int = ...,
    ) -> None: ...
    def unregister(self, how: Optional[_Unregister] = None) -> None: ...
    def report_measured(self, bytes: Optional[_Size]) -> None: ...
    def on_reclaim(self, handler: _Handler, *, within: Optional[_Time] = None) -> _Handler: ...
    def clear_on_reclaim(self) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Grant:
    @property
    def id(self) -> int: ...
    @property
    def tenant(self) -> Tenant: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def bytes(self) -> int: ...
    @property
    def is_live(self) -> bool: ...
    def touch(self) -> None: ...
    def grow(self, by: _Size, *, evict: bool = False) -> None: ...
    def shrink(self, by: _Size) -> None: ...
    def true_up(self, measured: _Size) -> None: ...
    def pin(self) -> None: ...
    def unpin(self) -> None: ...
    def keep_alive(self, duration: _Time) -> None: ...
    def commit(self) -> None: ...
    def decline(self) -> None: ...
    def release(self) -> bool: ...
    def __enter__(self) -> Grant: ...
    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
        /,
    ) -> None: ...

@final
class Wish:
    def enqueue(self) -> Union[Grant, Ticket]: ...

@final
class Ticket:
    def poll(self, ready: Callable[[], object]) -> Optional[Grant]: ...
    def cancel(self) -> None: ...

def _close_door() -> None: ...

"""Choices from a few words. A text is as good as the member: ``"cache"`` and ``Kind.CACHE``.

The members stand in the order of the library's numbers, which the native module relies on.
"""

from enum import Enum


class _Word(str, Enum):
    """A word; ``str()`` of it is the word alone."""

    def __str__(self) -> str:
        return str(self.value)


class Kind(_Word):
    """What memory is taken for. Decides who goes first when memory is short."""

    MODEL_LOAD = "model_load"
    """Weights: persistent, not evicted unless marked evictable."""
    INFERENCE = "inference"
    """A running request."""
    CACHE = "cache"
    """Results and KV blocks that can be rebuilt."""
    BACKGROUND = "background"
    """Work nobody waits for."""


class Priority(_Word):
    """Who goes first when not all can, and how large a fair share is."""

    LOW = "low"
    """Weight 1; evicted first."""
    NORMAL = "normal"
    """Weight 2."""
    HIGH = "high"
    """Weight 3."""
    CRITICAL = "critical"
    """Weight 4; evicted last."""


class Isolation(_Word):
    """How strictly a tenant's own limits bind it. The capacity binds everybody always."""

    NONE = "none"
    """Its limits are ignored; its guarantee is kept."""
    SOFT = "soft"
    """Up to the burst while pressure is normal, the limit when high, the share when critical."""
    HARD = "hard"
    """Its limit, whatever the pressure."""


class Policy(_Word):
    """The order in which the grants of a tenant go."""

    LRU = "lru"
    """Least recently touched first."""
    LFU = "lfu"
    """Least often touched first."""
    TTL = "ttl"
    """Soonest to expire first."""
    SIZE = "size"
    """Largest first."""
    HYBRID = "hybrid"
    """Least value per byte first."""


class Pressure(_Word):
    """How short memory is."""

    NORMAL = "normal"
    """Plenty: burst limits apply."""
    HIGH = "high"
    """Short: limits apply, the balancer evicts background work and caches."""
    CRITICAL = "critical"
    """Nearly out: fair shares apply, the balancer evicts by priority."""


class Reclaim(_Word):
    """What an owner answers when its grant is chosen to go."""

    FREED = "freed"
    """The memory is free now; the grant has ended."""
    DEFERRED = "deferred"
    """The owner will release the grant soon, or decline."""
    BUSY = "busy"
    """Not now: the grant is left alone for a while."""


class Unregister(_Word):
    """What becomes of a tenant's grants when it is unregistered."""

    IF_IDLE = "if_idle"
    """Refuse while it holds grants."""
    DRAIN = "drain"
    """No new grants; the live ones run on until they are released."""
    FORCE = "force"
    """All grants end now."""


class Reason(_Word):
    """Which check refused a request. Later libraries may have more."""

    TENANT_LIMIT = "tenant_limit"
    """The tenant's own limit in force."""
    GROUP_LIMIT = "group_limit"
    """The limit of a group above the tenant."""
    CAPACITY = "capacity"
    """The capacity of the whole."""
    GRANT_COUNT = "grant_count"
    """The tenant's limit on the number of grants of this kind."""
    RATE_LIMIT = "rate_limit"
    """The tenant's rate of requests."""
    SLOTS_EXHAUSTED = "slots_exhausted"
    """The table of grants is full."""
    CONTENDED = "contended"
    """The bound of steps ran out before the answer was certain: ask again."""
    WAITED_TOO_LONG = "waited_too_long"
    """The request waited for its turn, which did not come in time."""
    WAITERS_EXHAUSTED = "waiters_exhausted"
    """As many requests wait as can."""
    AUDIT_FULL = "audit_full"
    """The audit log has no room."""

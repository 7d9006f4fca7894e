"""Real NumPy arrays under one budget: guarantees hold, caches give way, and memory really goes.

Three tenants share 64 MiB. ``chat`` is guaranteed half of it, ``thumbs`` an eighth. ``search`` and
``thumbs`` keep arrays in caches, of as much as there is; whatever is chosen to go is dropped by the
callback, so that NumPy frees the array. In between the arrays are measured against what was
granted.

    python examples/numpy_budget.py
"""

from __future__ import annotations

from typing import Dict, List, Tuple

import numpy
from numpy.typing import NDArray

import allotment
from allotment import Reclaim, Victim

MIB = 1 << 20
Array = NDArray[numpy.float64]


class Cache:
    """Arrays of one tenant, each with the grant that it was made under."""

    def __init__(self, tenant: allotment.Tenant) -> None:
        self.tenant = tenant
        self.dropped = 0
        self._kept: Dict[int, Tuple[allotment.Grant, Array]] = {}
        tenant.on_reclaim(self._drop)

    def get(self, number: int, mib: int) -> Array:
        """The array of a number, from the cache or made anew."""
        kept = self._kept.get(number)
        if kept is not None:
            grant, array = kept
            grant.touch()
            return array
        # First the budget, then the bytes.
        grant = self.tenant.request(f"{mib} MiB", "cache", key=number + 1, cookie=number)
        array = numpy.full(mib * MIB // 8, float(number))
        self._kept[number] = (grant, array)
        return array

    def measured(self) -> int:
        """Bytes of the arrays that are there."""
        return sum(array.nbytes for _, array in self._kept.values())

    def _drop(self, victim: Victim) -> Reclaim:
        del self._kept[victim.cookie]
        self.dropped += 1
        return Reclaim.FREED


def main() -> None:
    """Fills the caches, then lets the chat take what it is guaranteed."""
    governor = allotment.Governor("64 MiB", pool_pressure=False)
    chat = governor.register_tenant("chat", guarantee="32 MiB", priority="critical")
    caches = [
        Cache(governor.register_tenant("search", priority="normal")),
        Cache(governor.register_tenant("thumbs", guarantee="8 MiB", priority="low")),
    ]
    search, thumbs = caches

    def held() -> List[str]:
        for cache in caches:
            assert cache.measured() == cache.tenant.used, "the ledger says what NumPy holds"
        assert governor.snapshot().live <= 64 * MIB
        return [f"{cache.tenant.name} {cache.measured() // MIB} MiB" for cache in caches]

    for number in range(40):
        search.get(number, 2)
        thumbs.get(number, 1)
    print("both caches are full: ", ", ".join(held()))
    print("dropped for new ones: ", f"search {search.dropped}, thumbs {thumbs.dropped}")

    before = search.dropped + thumbs.dropped
    with chat.acquire("32 MiB", "inference", timeout=5) as grant:
        context = numpy.zeros(grant.bytes // 8)
        assert context.nbytes == 32 * MIB
        print("chat takes its 32 MiB:", ", ".join(held()))
        assert search.dropped + thumbs.dropped == before, "a guarantee evicts nobody"
        with chat.request("16 MiB", "inference") as more:
            scratch = numpy.ones(more.bytes // 8)
            print("chat takes 16 more:   ", ", ".join(held()))
            del scratch
        del context
    print("evicted for the chat: ", search.dropped + thumbs.dropped - before)

    try:
        chat.request("65 MiB", "model_load")
    except allotment.Denied as denied:
        print("a model of 65 MiB:    ", denied)
    assert sum(search.get(number, 2)[0] for number in range(100, 104)) == 406.0
    print("and the caches go on: ", ", ".join(held()))


if __name__ == "__main__":
    main()

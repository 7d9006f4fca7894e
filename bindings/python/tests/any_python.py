"""A program for each Python that the wheel says it is for: whether it works there at all."""

import asyncio
import os
import sys
import warnings

import allotment


async def wait(chat: allotment.Tenant) -> int:
    """Waits for its turn, behind a grant that is released meanwhile."""
    full = chat.request("1 MiB", "inference")
    asyncio.get_running_loop().call_later(0.05, full.release)
    async with chat.acquire_async("1 MiB", "inference", timeout=10) as grant:
        return grant.bytes


def main() -> None:
    """Each way to get to the governor, once."""
    with allotment.Governor("1 MiB") as governor:
        chat = governor.register_tenant("chat")
        governor.on_reclaim(lambda victim: "freed", within=10)
        block = chat.request("1 MiB", "cache")
        assert asyncio.run(wait(chat)) == 1 << 20
        assert not block.is_live and governor.snapshot().live == 0
        # That it forks with a thread is on purpose.
        warnings.simplefilter("ignore", DeprecationWarning)
        if hasattr(os, "fork") and os.fork() == 0:
            try:
                chat.request(1, "cache")
            except allotment.ForkedError:
                os._exit(0)
            os._exit(1)
        assert not hasattr(os, "fork") or os.wait()[1] == 0
    print("the wheel works in Python {}.{}.{}".format(*sys.version_info))


main()

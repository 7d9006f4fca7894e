"""Awaiting one's turn in a coroutine of asyncio.

::

    enqueue --at once--> grant
            --ticket--> poll --granted--> grant
                        poll <--woken-- the library, on any thread
                        cancelled --> the place is given up

Whoever is cancelled has no grant: either the ticket is cancelled, which gives back what it was just
given, or the grant goes with the result that nobody gets.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Callable, Generator, Optional, Type

from ._native import Grant, Wish


def _woken(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> Callable[[], None]:
    def settle() -> None:
        if not future.done():
            future.set_result(None)

    def wake() -> None:
        # A loop that was closed has nobody who could be woken.
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(settle)
            except RuntimeError:
                if not loop.is_closed():
                    raise

    return wake


async def _granted(wish: Wish) -> Grant:
    loop = asyncio.get_running_loop()
    ticket = wish.enqueue()
    if isinstance(ticket, Grant):
        return ticket
    try:
        while True:
            future: asyncio.Future[None] = loop.create_future()
            grant = ticket.poll(_woken(loop, future))
            if grant is not None:
                return grant
            await future
    finally:
        # Of a ticket whose grant was taken this changes nothing.
        ticket.cancel()


class Acquiring:
    """A grant to be awaited, or to be entered with ``async with``, which releases it at the end.

    Nothing is asked for before that. May be used once.
    """

    __slots__ = ("_grant", "_wish")

    def __init__(self, wish: Wish) -> None:
        self._wish: Optional[Wish] = wish
        self._grant: Optional[Grant] = None

    def __await__(self) -> Generator[object, None, Grant]:
        """Waits for the grant, which the caller then owns."""
        wish, self._wish = self._wish, None
        if wish is None:
            raise RuntimeError("this was awaited before: each grant has a call of its own")
        return _granted(wish).__await__()

    async def __aenter__(self) -> Grant:
        """Waits for the grant."""
        self._grant = await self
        return self._grant

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Releases the grant, if it was not released, or evicted, before."""
        grant, self._grant = self._grant, None
        if grant is not None:
            grant.__exit__(kind, error, traceback)

    def __repr__(self) -> str:
        """Whether it was used."""
        return f"<allotment.Acquiring, {'to be awaited' if self._wish else 'awaited'}>"

"""What happened, read at the reader's own pace."""

from __future__ import annotations

from typing import Iterator, List, Tuple

from ._native import Governor
from ._views import Event

_AT_ONCE = 256


class EventReader:
    """Follows the events of a governor: each iteration goes on where the last one has ended.

    Events that were overwritten before they were read are counted, never skipped silently: in their
    place stands one of the kind ``"lost"``. One reader is for one thread at a time.
    """

    def __init__(self, governor: Governor) -> None:
        self._governor = governor
        self._mark: Tuple[int, int] = (0, 0)

    def __iter__(self) -> Iterator[Event]:
        """The events from here on, until there is none more yet."""
        while True:
            events = self.read()
            if not events:
                return
            yield from events

    def read(self, most: int = _AT_ONCE) -> List[Event]:
        """The next events, at most so many; none if there are none yet."""
        events, self._mark = self._governor._events(self._mark, most)
        return events

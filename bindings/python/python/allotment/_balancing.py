"""A thread that looks after a governor."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Optional, Type

from ._errors import Closed
from ._native import Governor


class KeepingBalanced:
    """Calls :meth:`Governor.balance` every so many seconds, from entering on until leaving.

    Ends by itself when the governor is closed. What else ``balance`` raises goes to
    :data:`threading.excepthook`, and ends it as well.
    """

    def __init__(self, governor: Governor, every: float) -> None:
        if not every > 0:
            raise ValueError(f"every: {every} s is no time; use more than 0 seconds")
        self._governor = governor
        self._every = every
        self._ended = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def __enter__(self) -> KeepingBalanced:
        """Starts the thread."""
        if self._thread is not None:
            raise RuntimeError("this was entered before: call keep_balanced again")
        self._thread = threading.Thread(
            target=self._run, name="allotment-balancing", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        """Ends the thread, and waits for a step that is under way."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            try:
                self._governor.balance()
            except Closed:
                return

"""What a call raises. A denial is an answer with data; everything else is misuse, or the world.

::

    AllotmentError
        Denied                  the governor says no, and why
            Timeout             its turn did not come in time; a TimeoutError as well
        Evicted                 the grant was evicted meanwhile
        StaleGrant              the grant was released before
        Gone                    the tenant or group is not registered; a LookupError as well
        Closed                  the governor was closed
        ForkedError             the process is a fork of the one that made the governor
        MisuseError             a value that cannot be; a ValueError as well
        StateError              not as things stand now
"""

from __future__ import annotations

from ._views import Denial


class AllotmentError(Exception):
    """Everything that this package raises for reasons of its own. Nothing has changed then."""

    code: str
    """What kind of error, as a word that later versions keep: ``"zero_bytes"``, ``"closed"``."""

    def __init__(self, message: str, code: str = "other") -> None:
        super().__init__(message, code)
        self.code = code

    def __str__(self) -> str:
        """The message: the value and the bound, for people."""
        return str(self.args[0])


class Denied(AllotmentError):
    """The governor says no: :attr:`denial` says by which check, and whether waiting helps."""

    denial: Denial
    """The answer, as data."""

    def __init__(self, denial: Denial) -> None:
        Exception.__init__(self, denial)
        self.code = "denied"
        self.denial = denial

    def __str__(self) -> str:
        """The denial in a sentence."""
        return str(self.denial)


class Timeout(Denied, TimeoutError):
    """The request waited for its turn, which did not come in time."""


class Evicted(AllotmentError):
    """The grant was evicted: its bytes are back, or on their way back. Request it again."""


class StaleGrant(AllotmentError):
    """The grant has ended: it was released before, or its reservation ran out."""


class Gone(AllotmentError, LookupError):
    """The tenant or group is not registered, or not any more."""


class Closed(AllotmentError):
    """The governor was closed: it takes no more calls. Grants still go back."""


class ForkedError(AllotmentError):
    """This process is a fork of the one that made the governor: make one of its own."""


class MisuseError(AllotmentError, ValueError):
    """A value that cannot be: nothing but another value helps. :attr:`code` says which rule."""


class StateError(AllotmentError):
    """Not as things stand now: live grants, children, a full table. :attr:`code` says what."""

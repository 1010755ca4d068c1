"""Every error fastcheck raises, as one tree. Each message says what to do.

::

    FastcheckError
    ├── CatalogError              the catalog is refused; `problems` lists every mistake
    ├── UnknownFeature            (LookupError) no such feature in the catalog
    ├── UnknownCustomer           (LookupError) no such customer, and no such alias
    ├── UnknownPool               (LookupError) no such pool in the catalog
    ├── UnknownGrant              (LookupError) no such grant
    ├── UnknownMove               (LookupError) no such move
    ├── UnknownPurchase           (LookupError) no such purchase
    ├── UnknownReservation        (LookupError) the hub has no such reservation
    ├── UnknownWebhook            (LookupError) no such webhook
    ├── UnknownDelivery           (LookupError) no such delivery to a webhook
    ├── UnknownSegment            (LookupError) no such segment
    ├── UnknownUsage              (LookupError) no usage event has that id
    ├── UnknownToken              (LookupError) no token has that id
    ├── NotCountable              (TypeError) the feature has nothing to spend or to count
    ├── WrongType                 (TypeError) an argument of a type that cannot be meant
    ├── NameInvalid               (ValueError) an id, alias or name outside the bounds
    ├── AmountError               (ValueError) negative, too large, or not exact at the pool's scale
    ├── InstantError              (ValueError) a time without a zone, out of range or in the wrong order
    ├── RecordError               (ValueError) a customer record that the catalog refuses
    ├── DirectoryError            (OSError) the directory or its ledger cannot be used; `path`, `what_to_do`
    ├── StoreError                the ledger's database cannot be used; `place`, `what_to_do`
    ├── LedgerError               the ledger does not add up; nothing was exported
    ├── OutcomeUnknown            whether the change is stored is not known; ask again with the same key
    ├── MissingExtra              (ImportError) a package that this needs is not installed
    ├── ArenaError                the mapped files are damaged or of another version
    ├── Closed                    used after `close()`, or before `open()`
    ├── OwnerUnavailable          (TimeoutError) the owner process did not answer in time
    ├── HubUnavailable            (ConnectionError) the hub cannot be reached, or does not answer in time
    ├── Forbidden                 (PermissionError) the token is missing, over, or does not allow this
    ├── RateLimited               more requests than the token may make; `retry_after_s`
    ├── NotYet                    (TimeoutError) the host has not come to the change that was asked for
    ├── Conflict                  the request contradicts what is stored
    │   └── PreconditionFailed    it was changed since it was read
    ├── StaleIds                  ids from before the table was rebuilt; ask for them again
    ├── TooManyReservations       every place for a hold is taken
    └── ProtocolError             bytes of another process or of the hub that are not as they must be
"""

from __future__ import annotations

import os


class FastcheckError(Exception):
    """Base of every error of this package."""


class CatalogError(FastcheckError):
    """The catalog is refused. `problems` lists every mistake, each with its place and a hint."""

    def __init__(self, problems: list[str] | str) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        count = len(self.problems)
        head = f"the catalog has {count} problem{'' if count == 1 else 's'}:"
        return "\n  ".join([head, *self.problems])


class UnknownFeature(FastcheckError, LookupError):
    """The catalog has no feature of that name."""


class UnknownCustomer(FastcheckError, LookupError):
    """No customer has that id or alias."""


class UnknownPool(FastcheckError, LookupError):
    """The catalog has no pool of that name."""


class UnknownGrant(FastcheckError, LookupError):
    """No grant has that id."""


class UnknownMove(FastcheckError, LookupError):
    """No move has that id."""


class UnknownPurchase(FastcheckError, LookupError):
    """No purchase has that id."""


class UnknownReservation(FastcheckError, LookupError):
    """The hub has no reservation of that id."""


class UnknownWebhook(FastcheckError, LookupError):
    """No webhook has that id."""


class UnknownDelivery(FastcheckError, LookupError):
    """No delivery to a webhook has that id."""


class UnknownSegment(FastcheckError, LookupError):
    """No segment has that name."""


class UnknownUsage(FastcheckError, LookupError):
    """No usage event has that id."""


class UnknownToken(FastcheckError, LookupError):
    """No token has that id."""


class NotCountable(FastcheckError, TypeError):
    """The feature's kind has nothing to spend or to count: a switch, for one."""


class WrongType(FastcheckError, TypeError):
    """An argument has a type that cannot be meant, such as a float for credits."""


class NameInvalid(FastcheckError, ValueError):
    """An id, alias or name is empty, too long, or holds characters that cannot be stored."""


class AmountError(FastcheckError, ValueError):
    """An amount is negative, too large, or not exact at the pool's scale."""


class InstantError(FastcheckError, ValueError):
    """A time has no zone, lies outside what can be stored, or ends before it starts."""


class RecordError(FastcheckError, ValueError):
    """The catalog refuses what a customer is said to have."""


class DirectoryError(FastcheckError, OSError):
    """The directory, or the ledger in it, cannot be used.

    `path` is the file or directory; `what_to_do` the step that mends it."""

    def __init__(self, path: str | os.PathLike[str], what: str = "", what_to_do: str = "") -> None:
        self.path = os.fspath(path)
        self.what = what
        self.what_to_do = what_to_do
        super().__init__(self.path, what, what_to_do)

    def __str__(self) -> str:
        tail = f"; {self.what_to_do}" if self.what_to_do else ""
        return f"{self.path}: {self.what}{tail}" if self.what else self.path


class StoreError(FastcheckError):
    """The database that holds the ledger cannot be used; nothing was changed.

    `place` is its address without the password; `what_to_do` the step that mends it."""

    def __init__(self, place: str, what: str = "", what_to_do: str = "") -> None:
        self.place = place
        self.what = what
        self.what_to_do = what_to_do
        super().__init__(place, what, what_to_do)

    def __str__(self) -> str:
        tail = f"; {self.what_to_do}" if self.what_to_do else ""
        return f"{self.place}: {self.what}{tail}" if self.what else self.place


class LedgerError(FastcheckError):
    """What was read of the ledger does not add up; the message has the numbers."""


class OutcomeUnknown(FastcheckError):
    """The connection was lost while a change was being committed: it may or may not be stored. Ask again with
    the same idempotency key."""


class MissingExtra(FastcheckError, ImportError):
    """A package that is not part of the base install is needed; the message says which."""


class ArenaError(FastcheckError):
    """The arena is damaged, or was written by another version of fastcheck."""


class Closed(FastcheckError):
    """The object was closed, or never opened."""


class OwnerUnavailable(FastcheckError, TimeoutError):
    """The process that owns the directory did not answer within the bound."""


class HubUnavailable(FastcheckError, ConnectionError):
    """The hub cannot be reached, or did not answer within the bound."""


class Forbidden(FastcheckError, PermissionError):
    """The token is missing, unknown, expired or revoked, or its scopes do not allow this."""


class RateLimited(FastcheckError):
    """More requests than the token may make. `retry_after_s`: when there is room again."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message, retry_after_s)

    def __str__(self) -> str:
        return str(self.args[0])


class NotYet(FastcheckError, TimeoutError):
    """The host did not come to the change that was asked for (`min_seq`, `wait_ready`) within the bound."""


class Conflict(FastcheckError):
    """The request contradicts what is stored; nothing was changed."""


class PreconditionFailed(Conflict):
    """It was changed since it was read: read it again, and decide anew."""


class StaleIds(FastcheckError):
    """Ids from `ids()` outlived the table they point into; ask for them again."""


class TooManyReservations(FastcheckError):
    """Every place for a hold is taken; commit or release some, or give them a shorter ttl."""


class ProtocolError(FastcheckError):
    """Bytes of another process or of the hub are too long, truncated or malformed."""


def by_name(name: str) -> type[FastcheckError]:
    """The class of that name in this tree; `FastcheckError` itself for any other name."""
    found = globals().get(name)
    if isinstance(found, type) and issubclass(found, FastcheckError):
        return found
    return FastcheckError

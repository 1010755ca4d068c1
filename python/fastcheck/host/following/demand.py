"""Which customers a host on demand asks for, and when an answer may be taken. No I/O, no clock.

Answers and changes race: an answer is as of change F, the stream at that point has given the changes up to P.

- F > P: the answer waits until the stream has come to F. So the arena is at every moment what the ledger had
  said, of the customers it holds, at the arena's own number.
- F <= P: a record is taken only if no change after F of that customer has passed by, a missing key only if no
  change after F brought it. Else it is asked for again.

For that, what passes by is remembered while anything is asked for, as far back as `floor`; an answer as of
before it is asked for again. Keys that were missing are remembered until a change brings them."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from fastcheck.host.following.events import FoundCustomers
from fastcheck.host.following.records import Named, split
from fastcheck.wire.frames import KEYS_PER_WANT_MAX, MALFORMED, Refused

WAITING_MAX: Final = 65_536
"""Keys that are asked for or wait to be; more are refused, and answered as unknown for now."""
MISSING_MAX: Final = 65_536
"""Keys remembered as nobody's; the least recently asked goes first."""
PASSED_MAX: Final = 65_536
"""Numbers and keys of changes remembered while something is asked for; beyond it the floor rises."""
ATTEMPTS_MAX: Final = 8
"""A customer who changes faster than he can be asked for is given up for now."""


@dataclass(frozen=True)
class Taken:
    """What has become certain."""

    records: bytes = b""
    """Of customers who are found: to be put before the keys are told."""
    keys: dict[str, bool] = field(default_factory=dict)
    """What each key came to: True = found; False = nobody's, or given up for now."""


class Demand:
    """The questions of one host."""

    def __init__(
        self, *, waiting_max: int = WAITING_MAX, missing_max: int = MISSING_MAX, passed_max: int = PASSED_MAX
    ) -> None:
        self._waiting_max = waiting_max
        self._missing_max = missing_max
        self._passed_max = passed_max
        self._position = 0
        self._floor = 0
        self._waiting: deque[str] = deque()
        # Every key that waits or is asked for, with how often it was asked for.
        self._attempts: dict[str, int] = {}
        self._open = 0
        self._ahead: list[FoundCustomers] = []
        self._passed_numbers: dict[int, int] = {}
        self._passed_keys: dict[str, int] = {}
        self._missing: OrderedDict[str, None] = OrderedDict()

    # Asking.

    def known_missing(self, key: str) -> bool:
        """Whether the key is known to be nobody's."""
        if key not in self._missing:
            return False
        self._missing.move_to_end(key)
        return True

    def ask(self, key: str) -> bool:
        """Notes that somebody waits for a key; once is enough. False where too many wait."""
        if key in self._attempts:
            return True
        if len(self._attempts) >= self._waiting_max:
            return False
        self._attempts[key] = 0
        self._waiting.append(key)
        return True

    def next_keys(self) -> tuple[str, ...]:
        """The keys of the next question, which counts as asked; () where nothing waits."""
        count = min(len(self._waiting), KEYS_PER_WANT_MAX)
        if count == 0:
            return ()
        keys = tuple(self._waiting.popleft() for _ in range(count))
        for key in keys:
            self._attempts[key] += 1
        if self._open == 0 and not self._ahead:
            # Nothing was remembered so far, and nothing before this question can be of use to it.
            self._forget_passed()
        self._open += 1
        return keys

    # The stream.

    def begin(self, position: int) -> None:
        """A stream begins at a position: what the last one did not answer is asked for again."""
        waiting = set(self._waiting)
        open_keys = [key for key in self._attempts if key not in waiting]
        self._waiting.extendleft(reversed(open_keys))
        self._open = 0
        self._ahead.clear()
        self._position = position
        self._forget_passed()

    def forget_missing(self) -> None:
        """What was missing may be there: changes went by unseen."""
        self._missing.clear()

    def passed(self, seq: int, numbers: Iterable[int], keys: Iterable[str]) -> Taken:
        """Changes up to `seq` were applied, and were about these; what that makes certain."""
        self._position = seq
        watching = self._open > 0 or bool(self._ahead)
        for key in keys:
            self._missing.pop(key, None)
            if watching:
                self._passed_keys[key] = seq
        if watching:
            for number in numbers:
                self._passed_numbers[number] = seq
            if len(self._passed_numbers) + len(self._passed_keys) > self._passed_max:
                self._forget_passed()
        ripe = [one for one in self._ahead if one.seq <= seq]
        self._ahead = [one for one in self._ahead if one.seq > seq]
        return _joined(self._take(one) for one in ripe)

    def found(self, answer: FoundCustomers) -> Taken:
        """An answer came; what is certain now. Raises `Refused` for one that does not answer its question."""
        self._open -= 1
        if answer.seq > self._position:
            self._ahead.append(answer)
            return Taken()
        return self._take(answer)

    def _take(self, answer: FoundCustomers) -> Taken:
        taken: dict[str, bool] = {}
        again: list[str] = []
        records: list[bytes] = []
        for key, named in matched(answer):
            certain = answer.seq >= self._floor and (
                self._passed_keys.get(key, 0) <= answer.seq
                if named is None
                else self._passed_numbers.get(named.number, 0) <= answer.seq
            )
            if not certain:
                again.append(key)
                continue
            taken[key] = named is not None
            if named is not None:
                records.append(named.data)
            else:
                self._remember_missing(key)
        for key in again:
            if self._attempts.get(key, ATTEMPTS_MAX) >= ATTEMPTS_MAX:
                taken[key] = False
            else:
                self._waiting.append(key)
        for key in taken:
            self._attempts.pop(key, None)
        return Taken(b"".join(dict.fromkeys(records)), taken)

    def _remember_missing(self, key: str) -> None:
        self._missing[key] = None
        self._missing.move_to_end(key)
        if len(self._missing) > self._missing_max:
            self._missing.popitem(last=False)

    def _forget_passed(self) -> None:
        self._passed_numbers.clear()
        self._passed_keys.clear()
        self._floor = self._position


def matched(answer: FoundCustomers) -> list[tuple[str, Named | None]]:
    """Each key of an answer with its record, None where it is nobody's. Raises `Refused` for an answer that
    says nothing of a key, or has a record of somebody who is gone."""
    by_key: dict[str, Named] = {}
    for named in split(answer.records):
        if named.deleted:
            raise Refused(MALFORMED, f"customer {named.number} is said to be found and gone")
        for key in named.keys:
            by_key[key] = named
    missing = set(answer.missing)
    unanswered = [key for key in answer.keys if key not in missing and key not in by_key]
    if unanswered:
        raise Refused(MALFORMED, f"{len(unanswered)} keys that were asked for are not answered")
    return [(key, None if key in missing else by_key[key]) for key in answer.keys]


def _joined(parts: Iterable[Taken]) -> Taken:
    records: list[bytes] = []
    keys: dict[str, bool] = {}
    for part in parts:
        records.append(part.records)
        keys.update(part.keys)
    return Taken(b"".join(records), keys)

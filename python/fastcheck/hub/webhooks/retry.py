"""What an answer to a webhook means, and when to try again. Pure: the time and chance are arguments."""

from __future__ import annotations

import email.utils
from dataclasses import dataclass
from enum import Enum
from random import Random

from fastcheck.wire.events import EPOCH

SECOND_MS, MINUTE_MS, HOUR_MS = 1_000, 60_000, 3_600_000
DELAYS_MS = (
    0, 5 * SECOND_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS, 10 * HOUR_MS, 10 * HOUR_MS,
)  # fmt: skip
"""How long each attempt waits after the one before: about 28 hours in all. Receivers know this schedule from
Svix and others; the text of the standard shows a longer one, as an example."""
ATTEMPTS_MAX = len(DELAYS_MS)
JITTER_PART = 5
"""Up to a fifth of a delay is added by chance, so that what failed together does not come back together."""
RETRY_AFTER_MS_MAX = 24 * HOUR_MS
"""The longest that a receiver may put us off at once."""
WHY_CHARACTERS_MAX = 200

GONE = 410


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt."""

    status: int | None
    """Of HTTP; None: no answer."""
    why: str = ""
    """Why there was no answer; holds no secret, no address and nothing of a body."""
    retry_after: str | None = None
    """The header, as it came."""

    @property
    def reason(self) -> str:
        """For people, and for the record of the delivery."""
        return (self.why or f"answered {self.status}")[:WHY_CHARACTERS_MAX]


class Fate(Enum):
    """What becomes of a delivery."""

    DELIVERED = "delivered"
    GONE = "gone"
    """The receiver wants nothing more: its endpoint is disabled."""
    AGAIN = "again"
    DEAD = "dead"
    """Every attempt failed: kept as a dead letter until somebody replays it."""


@dataclass(frozen=True)
class Verdict:
    """A fate, and when to try again."""

    fate: Fate
    next_at: int | None = None
    """Of AGAIN only."""


def judge(outcome: Outcome, attempt: int, now: int, random: Random) -> Verdict:
    """What an outcome means. `attempt` counts from 1 and includes the one that just ended, at `now`. Only 2xx
    is a success; redirects are failures, because nobody signed up for the place that they point to."""
    if outcome.status is not None and 200 <= outcome.status < 300:
        return Verdict(Fate.DELIVERED)
    if outcome.status == GONE:
        return Verdict(Fate.GONE)
    if attempt >= ATTEMPTS_MAX:
        return Verdict(Fate.DEAD)
    delay = DELAYS_MS[attempt]
    delay += random.randrange(delay // JITTER_PART + 1)
    asked = None if outcome.retry_after is None else retry_after_ms(outcome.retry_after, now)
    return Verdict(Fate.AGAIN, now + max(delay, asked or 0))


def retry_after_ms(header: str, now: int) -> int | None:
    """How long a `Retry-After` asks to wait, 0 to `RETRY_AFTER_MS_MAX`; None for one that makes no sense.

    >>> retry_after_ms("120", 0), retry_after_ms("Thu, 01 Jan 1970 00:00:07 GMT", 2_000)
    (120000, 5000)
    >>> retry_after_ms("soon", 0)
    """
    text = header.strip()
    if text.isascii() and text.isdigit():
        # More digits than the bound has say no more than the bound.
        asked = int(text) * SECOND_MS if len(text) <= len(str(RETRY_AFTER_MS_MAX)) else RETRY_AFTER_MS_MAX
    else:
        try:
            moment = email.utils.parsedate_to_datetime(text)
            since = (moment if moment.tzinfo else moment.replace(tzinfo=EPOCH.tzinfo)) - EPOCH
        except (ValueError, TypeError, OverflowError, IndexError):
            return None
        asked = (since.days * 86_400 + since.seconds) * SECOND_MS - now
    return min(max(asked, 0), RETRY_AFTER_MS_MAX)

"""Who does what must happen once in a while: one of the hubs of a ledger.

Being elected saves work and spreads no harm: two that both think that they are do everything twice, and
everything that they do is safe to do twice."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TypeVar

AnyElected = TypeVar("AnyElected", bound="Elected")


class Elected(ABC):
    """A candidate. For one thread at a time; as a context it stands down at its end."""

    @abstractmethod
    def held(self) -> bool:
        """Whether this one is elected at this moment; where nobody is, it is from now on. Never waits for
        another candidate, never raises: False where that cannot be told."""

    @abstractmethod
    def close(self) -> None:
        """Stands down. Again: nothing."""

    def __enter__(self: AnyElected) -> AnyElected:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Alone(Elected):
    """Of a ledger that only one process may have: elected until it stands down."""

    def __init__(self) -> None:
        self._closed = False

    def held(self) -> bool:
        return not self._closed

    def close(self) -> None:
        self._closed = True

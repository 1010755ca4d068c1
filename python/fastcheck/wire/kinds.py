"""The kinds of features: what the core has, for those who take settings from callers and show them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from fastcheck.errors import ProtocolError
from fastcheck.wire.unhandled import unhandled


class Form(enum.Enum):
    """What a customer may have of a feature, and so how it is set. The value tells what JSON takes for it."""

    ON_OFF = "true or false"
    BOUND = "a whole number, or null for unlimited"
    VALUE = "text, a whole number, true or false"


@dataclass(frozen=True)
class FeatureKind:
    """A kind of features."""

    word: str
    """In catalogs and answers."""
    form: Form
    countable: bool
    """Whether using the feature spends from a pool."""

    @property
    def bounded(self) -> bool:
        """Whether a customer has so much of it, and zero is nothing of it."""
        match self.form:
            case Form.BOUND:
                return True
            case Form.ON_OFF | Form.VALUE:
                return False
            case _:
                unhandled(self.form)


KINDS: Final = {
    one.word: one
    for one in (
        FeatureKind("switch", Form.ON_OFF, countable=False),
        FeatureKind("limit", Form.BOUND, countable=False),
        FeatureKind("value", Form.VALUE, countable=False),
        FeatureKind("meter", Form.BOUND, countable=True),
        FeatureKind("credit", Form.ON_OFF, countable=True),
    )
}


def kind_of(word: str) -> FeatureKind:
    """The kind of that name. Raises `ProtocolError`: a newer process has more kinds."""
    found = KINDS.get(word)
    if found is None:
        raise ProtocolError(
            f"features of kind {word!r:.80} are not known here, only {', '.join(KINDS)}: update fastcheck"
        )
    return found

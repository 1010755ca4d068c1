"""What `help()` shows of the methods that programs call most."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from fastcheck import Decision, Entitlements, Estimate, Handle, Reservation, Settlement

HOT = {
    Entitlements: ("check", "consume", "decide", "reserve"),
    Handle: ("check", "consume"),
    Reservation: ("commit",),
}


def public(of: type) -> list[Any]:
    return [
        pytest.param(of, name, id=f"{of.__name__}.{name}")
        for name in dir(of)
        if not name.startswith("_") and inspect.getattr_static(of, name).__class__ is not property
    ]


@pytest.mark.parametrize(
    ("of", "name"),
    [one for of in (Entitlements, Handle, Reservation, Decision, Estimate, Settlement) for one in public(of)],
)
def test_every_public_name_has_documentation(of: type, name: str) -> None:
    told = inspect.getattr_static(of, name).__doc__
    assert told
    assert told[0].isupper() or told[0] == "`" or told.startswith(("allowed", "check", "consume"))


@pytest.mark.parametrize(("of", "name"), [(of, name) for of, names in HOT.items() for name in names])
def test_a_hot_method_has_a_signature(of: type, name: str) -> None:
    assert next(iter(inspect.signature(getattr(of, name)).parameters)) == "self"


def test_a_hot_method_says_what_its_arguments_are() -> None:
    assert "min_seq:" in (Entitlements.check.__doc__ or "")
    assert all(f"{one}:" in (Entitlements.consume.__doc__ or "") for one in ("amount", "event", "min_seq"))
    assert "ttl:" in (Entitlements.reserve.__doc__ or "")

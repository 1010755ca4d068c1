"""How `Entitlements` comes to its host: the arguments checked, the directory claimed, this process's part
begun."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastcheck import _fastcheck
from fastcheck.clock import Clock, SystemClock
from fastcheck.directory.path import prepare
from fastcheck.errors import DirectoryError, WrongType
from fastcheck.host.embedded.participant import EmbeddedParticipant
from fastcheck.host.following import marker
from fastcheck.host.given_catalog import read_catalog
from fastcheck.loading import LOADING

if TYPE_CHECKING:  # Only a directory that follows a hub loads these.
    from fastcheck.host.following.natives import Natives
    from fastcheck.host.following.participant import FollowingParticipant, HubSettings

LEASE_TIMEOUT_S_MAX: Final = 3_600.0
WAIT_READY_S_MAX: Final = 86_400.0
CUSTOMERS_MAX: Final = 100_000_000
"""The largest bound of the customers that a host on demand may hold."""


@dataclass(frozen=True)
class Common:
    """What every way to open a directory takes."""

    strict: bool
    lease_timeout: float
    clock: Clock | None

    def __post_init__(self) -> None:
        _seconds(self.lease_timeout, "lease_timeout", LEASE_TIMEOUT_S_MAX)

    @property
    def now(self) -> Clock:
        """The clock to use."""
        return self.clock or SystemClock()


def opened(directory: object, catalog: object, common: Common) -> EmbeddedParticipant:
    """A directory with a ledger of its own. Raises as `Entitlements.open`."""
    path = prepare(directory, make=True)
    marker.refuse(path)
    given = read_catalog(catalog, _fastcheck.Catalog.parse)
    host = _embedded(path, common, may_own=True)
    host.start(given)
    return host


def attached(directory: object, common: Common) -> EmbeddedParticipant | FollowingParticipant:
    """A directory that another process owns, of either kind. Raises as `Entitlements.attach`."""
    path = prepare(directory, make=False)
    found = marker.read(path)
    host: EmbeddedParticipant | FollowingParticipant
    if found is None:
        host = _embedded(path, common, may_own=False)
    else:
        with LOADING:
            from fastcheck.host.following import tokens
            from fastcheck.host.following.participant import HubSettings
            from fastcheck.wire.address import address

        settings = HubSettings(
            address(found.url, insecure=True),
            found,
            tokens.source_of(None, None),
            CUSTOMERS_MAX,
            5.0,
            None,
            None,
        )
        host = _connected(path, settings, common, may_own=False)
    host.start(None)
    return host


def connected(
    url: object,
    directory: object,
    common: Common,
    *,
    token: object,
    token_file: object,
    catalog: object,
    customers: object,
    customers_max: object,
    wait_ready_s: float,
    ca_file: object,
    insecure: bool,
) -> FollowingParticipant:
    """A directory that follows a hub. Raises as `Entitlements.connect`."""
    with LOADING:
        from fastcheck.host.following import tokens
        from fastcheck.host.following.participant import HubSettings, customers_mode
        from fastcheck.wire.address import address

    where = address(url, insecure=insecure)
    mode = customers_mode(customers)
    if isinstance(customers_max, bool) or not isinstance(customers_max, int):
        raise WrongType(f"customers_max must be an int, not {type(customers_max).__name__}")
    if not 0 < customers_max <= CUSTOMERS_MAX:
        raise WrongType(f"customers_max must lie between 1 and {CUSTOMERS_MAX}")
    _seconds(wait_ready_s, "wait_ready_s", WAIT_READY_S_MAX)
    source = tokens.source_of(token, token_file)
    source()  # A token that is missing is said now, and not in a log of some other process.
    given = read_catalog(catalog, _fastcheck.Catalog.parse)
    path = prepare(directory, make=True)
    claimed = marker.claim(path, where.http, mode)
    settings = HubSettings(where, claimed, source, customers_max, wait_ready_s, _readable(ca_file), given)
    host = _connected(path, settings, common, may_own=True)
    host.start(None)
    return host


def _embedded(path: Path, common: Common, *, may_own: bool) -> EmbeddedParticipant:
    return EmbeddedParticipant(
        path,
        parse=_fastcheck.Catalog.parse,
        make_arena=_make_arena,
        clock=common.now,
        lease_timeout_s=common.lease_timeout,
        may_own=may_own,
    )


def _connected(path: Path, settings: HubSettings, common: Common, *, may_own: bool) -> FollowingParticipant:
    with LOADING:
        from fastcheck.host.following.participant import FollowingParticipant

    return FollowingParticipant(
        path,
        settings,
        natives=_natives(),
        clock=common.now,
        lease_timeout_s=common.lease_timeout,
        may_own=may_own,
    )


def _make_arena(directory: str, catalog: Any, now_ms: int) -> _fastcheck.Owner:
    return _fastcheck.Owner(directory, catalog, now_ms)


def _natives() -> Natives:
    with LOADING:
        from fastcheck.host.following.natives import Natives

    native: Any = _fastcheck

    def make_owner(directory: str, catalog: Any, now_ms: int, on_demand: int | None) -> Any:
        return native.Owner(directory, catalog, now_ms, on_demand=on_demand)

    return Natives(_fastcheck.Catalog.parse, make_owner, native.Checkpoint, native.arena_boot)


def _seconds(value: object, what: str, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WrongType(f"{what} must be a number of seconds, not {type(value).__name__}")
    if not 0 <= value <= most:
        raise WrongType(f"{what} must lie between 0 and {most:g} seconds")


def _readable(ca_file: object) -> str | None:
    if ca_file is None:
        return None
    if not isinstance(ca_file, (str, os.PathLike)):
        raise WrongType(f"ca_file must be a path, not {type(ca_file).__name__}")
    path = str(os.fspath(ca_file))
    if not os.access(path, os.R_OK):
        raise DirectoryError(path, "cannot be read", "name a file of certificates in PEM format")
    return path

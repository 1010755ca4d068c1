"""`fastcheck token`: the tokens that a hub accepts."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcheck.cli.arguments import (
    Commands,
    UsageError,
    add_change,
    add_command,
    add_group,
    add_instant,
    add_limit,
    add_yes,
    positive,
)
from fastcheck.cli.confirm import confirm
from fastcheck.cli.instants import told
from fastcheck.cli.pages import walk
from fastcheck.cli.screen import print_json, print_json_list, print_rows
from fastcheck.errors import DirectoryError
from fastcheck.wire.scopes import SCOPES

if TYPE_CHECKING:
    from fastcheck.hub_client.tokens import TokenMethods
    from fastcheck.wire.token_answers import TokenState

TOKEN_FILE_BYTES_MAX = 4_096
URL_VARIABLE = "FASTCHECK_HUB"
TOKEN_VARIABLE = "FASTCHECK_TOKEN"
WHERE = f"""Name a running hub with --url (default: ${URL_VARIABLE}) and give an admin token, in a file
(--token-file) or in ${TOKEN_VARIABLE}. Or name the directory DIR of a hub that is stopped."""


def add(commands: Commands) -> None:
    """The arguments of the subcommands."""
    parts = add_group(commands, "token", "make, list and revoke the tokens of a hub")

    maker = add_command(
        parts,
        "make",
        "make a token and print its text, which is shown only once",
        "fastcheck token make billing --scope spend --url https://hub:8700 --token-file admin.token",
        WHERE,
    )
    _add_where(maker)
    maker.add_argument("name", metavar="NAME", help="name of the token, for people")
    maker.add_argument(
        "--scope",
        metavar="SCOPE",
        dest="scopes",
        action="append",
        choices=SCOPES,
        required=True,
        help="what the token allows: stream (hosts), spend, support (reads) or admin; may be repeated",
    )
    maker.add_argument(
        "--environment",
        metavar="NAME",
        default="live",
        help="environment of the hubs that accept it (default live)",
    )
    add_instant(maker, "--expires", "end of the token (default: never)")
    maker.add_argument(
        "--rate", metavar="N", type=positive, help="requests per second (default: the hub's own bound)"
    )
    maker.add_argument(
        "--to", metavar="FILE", help="write its text to a new file (mode 0600) instead of printing it"
    )
    add_change(maker, once=False)
    maker.set_defaults(run=run_make)

    lister = add_command(
        parts, "list", "list all tokens", "fastcheck token list --url https://hub:8700", WHERE
    )
    _add_where(lister)
    add_limit(lister)
    lister.set_defaults(run=run_list)

    revoker = add_command(
        parts,
        "revoke",
        "end a token for good, on every hub within a second",
        "fastcheck token revoke 7f3a90c2b1d4e586 --reason leaked --yes",
        WHERE,
    )
    _add_where(revoker)
    revoker.add_argument(
        "token", metavar="ID", help="id of the token, see `fastcheck token list`; not its text"
    )
    add_change(revoker, once=False)
    add_yes(revoker)
    revoker.set_defaults(run=run_revoke)


def _add_where(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", nargs="?", help="directory of a hub that is stopped")
    parser.add_argument("--url", metavar="URL", help=f"address of the hub (default: ${URL_VARIABLE})")
    parser.add_argument(
        "--token-file", metavar="FILE", help=f"file with an admin token (default: ${TOKEN_VARIABLE})"
    )
    parser.add_argument(
        "--ca-file", metavar="FILE", help="certificates of the authority that signed the hub's certificate"
    )


def run_make(args: argparse.Namespace) -> int:
    """Makes a token and prints its text once."""
    to = None if args.to is None else _new_file(args.to)
    try:
        with _tokens(args) as tokens:
            made = tokens.make_token(
                args.name,
                args.scopes,
                environment=args.environment,
                expires_at=args.expires,
                rate_per_s=args.rate,
                reason=args.reason,
            )
    except BaseException:
        if to is not None:
            os.close(to)
            os.unlink(args.to)
        raise
    text = made.token or ""
    if to is not None:
        with os.fdopen(to, "w", encoding="ascii") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(to)
    if args.json:
        print_json({"token": None if to is not None else text, **_as_data(made.state)})
    elif to is not None:
        print(f"{made.state.id}: made for {made.state.name}, written to {args.to}")
    else:
        print(text)
    return 0


def run_list(args: argparse.Namespace) -> int:
    """Prints a row per token, expired and revoked ones included."""
    with _tokens(args) as tokens:
        found = _first(walk(tokens.list_tokens), args.limit)
        if args.json:
            print_json_list(_as_data(one) for one in found)
            return 0
        header = ("token", "name", "scopes", "for", "state", "expires (UTC)", "last used (UTC)")
        print_rows(header, (_row(one) for one in found), left=len(header), none="no tokens")
    return 0


def run_revoke(args: argparse.Namespace) -> int:
    """Asks for confirmation, then revokes."""
    confirm(f"Revoke token {args.token}? Every hub refuses it from then on.", args.yes)
    with _tokens(args) as tokens:
        state = tokens.revoke_token(args.token, reason=args.reason)
    if args.json:
        print_json(_as_data(state))
    else:
        print(f"{state.id}: revoked, {state.name}")
    return 0


def _first(found: Iterator[TokenState], limit: int | None) -> Iterator[TokenState]:
    for count, one in enumerate(found):
        if count == limit:
            return
        yield one


def _row(one: TokenState) -> tuple[str, ...]:
    ends, used = told(one.expires_at), told(one.last_used_at)
    return one.id, one.name, ",".join(one.scopes), one.environment, standing(one), ends, used


def standing(one: TokenState) -> str:
    """The state of a token now: revoked, expired or active."""
    if one.revoked_at is not None:
        return "revoked"
    return "expired" if one.expires_at is not None and one.expires_at <= _now_ms() else "active"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _as_data(one: TokenState) -> dict[str, Any]:
    return {**vars(one), "state": standing(one)}


def _new_file(path: str) -> int:
    """A descriptor of a new file. Opened before the token is made: its text is shown only once."""
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} is there already: name a new file") from None


@contextmanager
def _tokens(args: argparse.Namespace) -> Iterator[TokenMethods]:
    url = args.url or os.environ.get(URL_VARIABLE)
    if args.directory is not None:
        if args.url is not None:
            raise UsageError("name a directory or --url, not both")
        with _directory(args.directory, getattr(args, "author", "")) as tokens:
            yield tokens
        return
    if not url:
        raise UsageError(f"say which hub: --url, ${URL_VARIABLE}, or the directory of a hub that is stopped")
    from fastcheck.hub_client import HubClient

    with HubClient(url, _admin_token(args.token_file), ca_file=args.ca_file) as client:
        yield client.by(getattr(args, "author", ""))


def _admin_token(file: str | None) -> str:
    if file is not None:
        with open(file, encoding="ascii", errors="replace") as opened:
            return opened.read(TOKEN_FILE_BYTES_MAX)
    text = os.environ.get(TOKEN_VARIABLE)
    if not text:
        raise UsageError(f"an admin token is needed: --token-file, or ${TOKEN_VARIABLE}")
    return text


@contextmanager
def _directory(directory: str, author: str) -> Iterator[TokenMethods]:
    """The ledger of a directory, which no other process may have open meanwhile."""
    from fastcheck import _fastcheck
    from fastcheck.clock import SystemClock
    from fastcheck.directory.lock import OwnerLock
    from fastcheck.hub.service import Service
    from fastcheck.hub.store.sqlite import SqliteStore
    from fastcheck.hub_client.tokens import TokenMethods

    ledger = Path(directory, "ledger.db")
    if not ledger.exists():
        raise DirectoryError(directory, "is not the directory of a hub", "name the one it was started with")
    lock = OwnerLock(str(Path(directory, "owner.lock")))
    if not lock.acquire():
        raise DirectoryError(directory, "is open in another process", "ask that hub with --url, or stop it")
    try:
        store = SqliteStore(ledger)
        try:
            service = Service(store, SystemClock(), _fastcheck.Catalog.parse)
            yield TokenMethods(service.ask, lambda: True).by(author)
        finally:
            store.close()
    finally:
        lock.release()

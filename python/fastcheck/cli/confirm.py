"""The question before a command takes something away."""

from __future__ import annotations

import sys

from fastcheck.cli.arguments import UsageError


class Refused(Exception):
    """The person at the terminal answered no."""


def confirm(question: str, yes: bool) -> None:
    """Returns with `--yes`, or after a yes at the terminal. Raises `Refused` after a no, and `UsageError` if
    there is no terminal."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask at: say --yes to go on")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused("nothing was changed")

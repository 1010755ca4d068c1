"""Fresh processes: one that has loaded a million customers says nothing about one that attaches."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

SPAWN = multiprocessing.get_context("spawn")


def _run(pipe: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    pipe.send(work(*arguments))


def in_fresh_process(work: Callable[..., Any], *arguments: Any) -> Any:
    """The result of `work`, a function of a module, run in a new interpreter."""
    ours, theirs = SPAWN.Pipe()
    child = SPAWN.Process(target=_run, args=(theirs, work, arguments))
    child.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise RuntimeError(f"{work.__name__} failed in its process; its error is above") from None
    finally:
        child.join()

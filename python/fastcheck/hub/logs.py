"""What the hub's process says, a line each: as text for people, as JSON for machines. Secrets are cut out."""

from __future__ import annotations

import json
import logging
import re
import sys
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any, Final, TextIO

FORMATS: Final = ("text", "json")
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
"""Of the request that is being answered."""
_TOKEN = re.compile(r"(fc_[A-Za-z0-9-]+_[0-9A-Za-z]+_)[\w-]+")
"""Tokens are never logged on purpose; this catches one in somebody's message."""
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")


def without_secrets(text: str) -> str:
    """The text without the secrets of tokens and of database URLs."""
    return _PASSWORD.sub(r"\1…@", _TOKEN.sub(r"\1…", text))


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        id = REQUEST_ID.get()
        return without_secrets(super().format(record)) + (f" [{id}]" if id else "")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "at": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if id := REQUEST_ID.get():
            line["request_id"] = id
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        more = getattr(record, "fields", None)
        if isinstance(more, dict):
            line |= more
        return without_secrets(json.dumps(line, default=str, ensure_ascii=False))


def configure(format: str, stream: TextIO = sys.stderr, level: int = logging.INFO) -> None:
    """Sends everything that the process logs to `stream`, in one of `FORMATS`."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Json() if format == "json" else _Text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("fastcheck").setLevel(level)

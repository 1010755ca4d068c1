"""What the hub's process logs: lines, ids, no secrets."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from fastcheck.hub import logs

TOKEN = "fc_live_0123456789abcdef_" + "s3cret-_x" * 5


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("fastcheck").setLevel(logging.NOTSET)


def test_a_line_of_json_has_the_request_its_fields_and_what_failed() -> None:
    stream = io.StringIO()
    logs.configure("json", stream)
    token = logs.REQUEST_ID.set("abc")
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("fastcheck.hub").error("it %s", "broke", exc_info=True, extra={"fields": {"ms": 3}})
    logs.REQUEST_ID.reset(token)
    logging.getLogger("fastcheck.hub").info("later")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert (first["level"], first["message"], first["request_id"], first["ms"]) == (
        "error",
        "it broke",
        "abc",
        3,
    )
    assert "ValueError: no" in first["trace"]
    assert first["at"].endswith("+00:00")
    assert "request_id" not in second


@pytest.mark.parametrize("format", logs.FORMATS)
def test_a_token_or_a_password_in_somebodys_message_is_cut_out(format: str) -> None:
    stream = io.StringIO()
    logs.configure(format, stream)
    logging.getLogger("fastcheck.x").warning("got %s for postgresql://me:pa55@db/ledger", TOKEN)
    text = stream.getvalue()
    assert "fc_live_0123456789abcdef_…" in text
    assert "s3cret" not in text
    assert "pa55" not in text
    assert "db/ledger" in text


def test_text_has_the_requests_id_and_others_are_quiet() -> None:
    stream = io.StringIO()
    logs.configure("text", stream)
    token = logs.REQUEST_ID.set("abc")
    logging.getLogger("fastcheck.hub").info("hello")
    logging.getLogger("uvicorn.error").info("noise")
    logs.REQUEST_ID.reset(token)
    [line] = stream.getvalue().splitlines()
    assert line.endswith("fastcheck.hub: hello [abc]")

"""Traces: what is read back, and every way to be wrong, with file, line, column and advice."""

import gzip
import random

import pytest

from fastcheck.replay import csvfile
from fastcheck.replay.errors import TraceError
from fastcheck.replay.trace import COLUMNS, Request, read_trace, write_trace

HEADER = ",".join(COLUMNS)
REQUESTS = [Request(0, "s1", 900, 512, 30), Request(5, "s2", 7, 0, 0), Request(5, "a,b", 10, 10, 1)]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_written_is_read_back(tmp_path, name):
    write_trace(tmp_path / name, REQUESTS)
    assert read_trace(tmp_path / name) == REQUESTS
    assert read_trace(tmp_path / name, limit=2) == REQUESTS[:2]


def test_same_requests_same_bytes(tmp_path):
    for name in ("a.csv.gz", "b.csv.gz"):
        write_trace(tmp_path / name, REQUESTS)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_columns_are_found_by_name_and_gzip_by_content(tmp_path):
    text = "\ufeffoutput_tokens,x,session,ts_ms,cached_input_tokens,input_tokens\r\n3,?,s,1,2,5\r\n\r\n"
    (tmp_path / "packed").write_bytes(gzip.compress(text.encode()))
    assert read_trace(tmp_path / "packed") == [Request(1, "s", 5, 2, 3)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ": the file is empty; expected the header ts_ms,session"),
        (f"{HEADER}\n", ": the trace has no requests; add at least one row"),
        (
            "ts_ms,session\n1,a\n",
            ":1: missing columns input_tokens, cached_input_tokens, output_tokens; the first",
        ),
        (f"{HEADER},ts_ms\n", ":1: column ts_ms is named twice"),
        (f"{HEADER}\n0,s,1,0,1\n0,s,1,0\n", ":3: 4 fields where the header has 5"),
        (
            f"{HEADER}\n0,s,-1,0,1\n",
            ":2: column input_tokens: '-1' is not a whole number of at least 0; write digits",
        ),
        (f"{HEADER}\n0,s,1.5,0,1\n", ":2: column input_tokens: '1.5' is not"),
        (f"{HEADER}\n0,s,١,0,1\n", ":2: column input_tokens: '١' is not"),
        (f"{HEADER}\nnoon,s,1,0,1\n", ":2: column ts_ms: 'noon' is not"),
        (
            f"{HEADER}\n0,s,1,0,9999999999\n",
            ":2: column output_tokens: '9999999999' is more than 1,000,000,000",
        ),
        (f"{HEADER}\n{'9' * 5000},s,1,0,1\n", ":2: column ts_ms: '999"),
        (f"{HEADER}\n5,s,1,0,1\n4,s,1,0,1\n", ":3: column ts_ms: time goes back from 5 to 4; sort the rows"),
        (
            f"{HEADER}\n0,s,1,2,1\n",
            ":2: column cached_input_tokens: 2 cached of 1 input tokens; input_tokens counts",
        ),
        (f"{HEADER}\n0,,1,0,1\n", ":2: column session: '' is not a session key; write 1 to 256"),
        (f"{HEADER}\n0,{'s' * 257},1,0,1\n", ":2: column session:"),
        (f"{HEADER}\n0,a\tb,1,0,1\n", ":2: column session:"),
        (f'{HEADER}\n0,"s,1,0,1\n', ":2: not valid CSV"),
        (f"{HEADER}\n0,s\0,1,0,1\n", ":2: the line holds a NUL byte"),
        (f"{HEADER}\n{'x' * (csvfile.LINE_BYTES_MAX + 1)}", ":2: the line is longer than 65,536 bytes"),
    ],
)
def test_mistakes_are_told(tmp_path, text, told):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TraceError) as raised:
        read_trace(path)
    assert str(raised.value).startswith(f"{path}{told}")
    assert "\n" not in str(raised.value)


def test_not_utf8(tmp_path):
    (tmp_path / "t.csv").write_bytes(f"{HEADER}\n0,s\xff".encode("latin-1"))
    with pytest.raises(TraceError, match=r"t.csv:2: byte 4 is not UTF-8"):
        read_trace(tmp_path / "t.csv")


def test_absent_and_directory(tmp_path):
    with pytest.raises(TraceError, match=r"cannot be read .*check the path"):
        read_trace(tmp_path / "absent.csv")
    with pytest.raises(TraceError, match="cannot be read"):
        read_trace(tmp_path)


def test_every_cut_and_every_damaged_byte_of_a_gzip_file_is_an_error_or_the_whole_truth(tmp_path):
    path = tmp_path / "t.csv.gz"
    rng = random.Random(1)
    requests = [Request(i, f"s{rng.random()}", rng.randrange(9999), 0, 7) for i in range(50)]
    write_trace(path, requests)
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        with pytest.raises(TraceError):
            read_trace(path)
    for at in range(10, len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with pytest.raises(TraceError):
            read_trace(path)


def test_a_truncated_file_says_so(tmp_path):
    path = tmp_path / "t.csv.gz"
    write_trace(path, REQUESTS)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(TraceError, match="the gzip data ends early; the file was cut off"):
        read_trace(path)

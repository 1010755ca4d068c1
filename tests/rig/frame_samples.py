"""A frame or two of every type of the stream, with the bytes that stand for each: one place for the tests and
the fuzzer. The bytes were recorded, not made from the code, so a change of them is a change of the format.

The numbers fit a conversation of epoch 5 that stands at change 10."""

from __future__ import annotations

from typing import Final

from fastcheck.wire import frames
from fastcheck.wire.frames import (
    Ack,
    CatalogPart,
    Commit,
    Found,
    FromHost,
    FromHub,
    Goodbye,
    Have,
    Heartbeat,
    Hello,
    Intent,
    Nack,
    Piece,
    Records,
    Want,
)

FROM_HOST: Final[dict[str, FromHost]] = {
    "970101a4686f737407c000a0": Hello("host", 7, None, frames.ALL),
    "970101a4686f7374cfffffffffffffffff93050acfffffffffffffffff01ab66617374636865636b2031": Hello(
        "host", (1 << 64) - 1, Have(5, 10, (1 << 64) - 1), frames.ON_DEMAND, "fastcheck 1"
    ),
    "9401020b4e": Ack(11, 78),
    "9501030ba772656675736564b8637573746f6d657220373a206e6f207375636820706c616e": Nack(
        11, frames.REFUSED, "customer 7: no such plan"
    ),
    "9401040492a461636d65ac7374726970653a6375735f39": Want(4, ("acme", "stripe:cus_9")),
}

FROM_HUB: Final[dict[str, FromHub]] = {
    "9b011001050a0ccf0000018bcfe56800cd07d00000ce00800000": Intent(
        frames.DELTA, 5, 10, 12, 1_700_000_000_000, 2_000
    ),
    "9b011002050c0c0001ce000f4240ce02625a00ce00100000": Intent(
        frames.FULL, 5, 12, 12, 0, 1, 1_000_000, 40_000_000, 1 << 20
    ),
    "960111ac636174616c6f672e79616d6c0a04c4067369786d6f72": CatalogPart("catalog.yaml", 10, 4, b"sixmor"),
    "930112c4020102": Records(b"\x01\x02"),
    "94011300c4057069656365": Piece(0, b"piece"),
    "940113cf0000010000000000c4057069656365": Piece(1 << 40, b"piece"),
    "960114050c4fcf0000018bcfe56800": Commit(5, 12, 79, 1_700_000_000_000),
    "960115cf0000018bcfe56800050b4e": Heartbeat(1_700_000_000_000, 5, 11, 78),
    "960116010b91a66e6f626f6479c4077265636f726473": Found(1, 11, ("nobody",), b"records"),
    "950117a5647261696eb874686520687562206973206265696e672075706461746564cd05dc": Goodbye(
        frames.DRAIN, "the hub is being updated", 1_500
    ),
}

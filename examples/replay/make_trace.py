"""Writes a request trace from a seed, in the format of `fastcheck replay`.

python examples/replay/make_trace.py trace.csv.gz --requests 10000 --seed 1
fastcheck replay trace.csv.gz --catalog examples/replay/catalog.yaml --rates examples/replay/rates.csv
"""

import argparse
from pathlib import Path

from fastcheck.replay.generate import generate
from fastcheck.replay.trace import write_trace

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("out", type=Path, help="written as CSV; gzipped if the name ends in .gz")
parser.add_argument("--requests", type=int, default=10_000)
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()

write_trace(args.out, generate(args.requests, args.seed))
print(f"{args.out}: {args.requests:,} requests")

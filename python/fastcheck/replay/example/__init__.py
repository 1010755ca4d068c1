"""The catalog template and the rate card of `fastcheck demo`; `examples/replay` shows the same files."""

from pathlib import Path

CATALOG = Path(__file__).with_name("catalog.yaml")
RATES = Path(__file__).with_name("rates.csv")

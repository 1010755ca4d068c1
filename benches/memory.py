"""What a process maps of a customer: resident pages of the rows file, after every customer was touched."""

from __future__ import annotations

import re
from pathlib import Path

from benches.arena import Arena, name_of, refuse
from benches.children import in_fresh_process
from benches.figures import Figure
from fastcheck import _fastcheck as native

GROUP = "Memory"
HEADER = re.compile(r"^[0-9a-f]+-[0-9a-f]+ .*?(?P<path>/\S.*)?$")


def resident(directory: str) -> dict[str, int]:
    """Resident bytes of this process's mappings below the directory, by file name."""
    found: dict[str, int] = {}
    current = ""
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if header := HEADER.match(line):
            path = header["path"] or ""
            current = Path(path).name if path.startswith(directory) else ""
        elif current and line.startswith("Rss:"):
            found[current] = found.get(current, 0) + int(line.split()[1]) * 1024
    return found


def touch_all(directory: str, customers: int) -> tuple[int, int]:
    """Resident bytes of the rows file and of all files, when every customer was checked both ways."""
    checker = native.Checker(directory, refuse)
    for start in range(0, customers, 10_000):
        names = [name_of(i) for i in range(start, min(start + 10_000, customers))]
        for name in names:
            checker.check(name, "export")
        checker.check_many(checker.ids(names), "export")
    found = resident(directory)
    rows = sum(size for name, size in found.items() if name.startswith("rows-"))
    return rows, sum(found.values())


def measure(made: Arena) -> list[Figure]:
    customers = len(made.names)
    rows, everything = in_fresh_process(touch_all, made.directory, customers)
    mapped = sum(path.stat().st_size for path in Path(made.directory).glob("rows-*"))
    return [
        Figure(
            GROUP, f"memory per customer, all of {customers:,} touched", everything / customers, "bytes", 100
        ),
        Figure(GROUP, "… of that in the rows file", rows / customers, "bytes"),
        Figure(GROUP, "the rows file per customer, room to grow included", mapped / customers, "bytes"),
    ]

"""What a process takes of memory."""

from __future__ import annotations

from pathlib import Path


def resident_bytes(pid: int) -> int:
    """Resident memory of a process, without files that it has mapped: those can be dropped at any time."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{pid}/status has no RssAnon")


def resident_with_files_bytes(pid: int) -> int:
    """The same with mapped files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{pid}/status has no VmRSS")

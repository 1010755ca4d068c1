"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def description() -> str:
    build = "" if sys.flags.dev_mode is False else ", development mode"
    return (
        f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release().split('-')[0]}, "
        f"{platform.python_implementation()} {platform.python_version()}{build}"
    )


def load() -> float:
    """Runnable tasks over the last minute: what else the machine was doing."""
    return os.getloadavg()[0]

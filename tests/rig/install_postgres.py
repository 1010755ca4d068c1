"""`make postgres`: says which PostgreSQL the tests use; installs Debian's where there is none and it may."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rig.postgres import PostgresMissing, find_programs

NO_CLUSTER = Path("/etc/postgresql-common/createcluster.conf")


def main() -> int:
    try:
        print(find_programs())
        return 0
    except PostgresMissing as missing:
        if os.geteuid() != 0 or shutil.which("apt-get") is None:
            print(missing, file=sys.stderr)
            return 1
    install()
    try:
        print(find_programs())
        return 0
    except PostgresMissing as missing:
        print(missing, file=sys.stderr)
        return 1


def install() -> None:
    """Debian's package without the server that it would start: the tests make their own."""
    if not NO_CLUSTER.exists():
        NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
        NO_CLUSTER.write_text("create_main_cluster = false\n")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in (["update", "-qq"], ["install", "-y", "-qq", "postgresql"]):
        subprocess.run(["apt-get", *words], env=quiet, stdout=subprocess.DEVNULL, check=False)


if __name__ == "__main__":
    sys.exit(main())

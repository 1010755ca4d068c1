"""Modules that are loaded late, and forks.

A fork copies the lock of a module that another thread is just loading, and no thread of the child will ever
let go of it: the child's own import of that module waits for ever. So whatever a running application loads
late, it loads while it holds `LOADING`, and a fork waits for that."""

from __future__ import annotations

import os
import threading
from typing import Final

LOADING: Final = threading.RLock()
"""Held while a module is loaded by a call; a fork takes it first. A test holds every late import to it."""

os.register_at_fork(before=LOADING.acquire, after_in_parent=LOADING.release, after_in_child=LOADING.release)

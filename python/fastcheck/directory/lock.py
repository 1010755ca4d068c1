"""Who owns a directory: the process that holds an open-file-description lock on `owner.lock`.

Such a lock belongs to the open file, not to the process: the kernel drops it when the last descriptor of that
open file is closed, which a kill does too. A forked child inherits the descriptor and would keep the lock
alive after its parent died, so it closes its copy at once; for the same reason the file is never mapped."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import weakref

from fastcheck.errors import DirectoryError

_F_OFD_GETLK = getattr(fcntl, "F_OFD_GETLK", 36)  # Python 3.8 and later name them on Linux only
_F_OFD_SETLK = getattr(fcntl, "F_OFD_SETLK", 37)
_FLOCK = struct.Struct("hhqqi4x")  # type, whence, start, length, pid: struct flock on 64-bit Linux

HUB = "hub"
"""Who holds the lock where it is no embedded owner; the whole content of the file."""


class OwnerLock:
    """The lock of one directory, held or not."""

    def __init__(self, path: str, *, holder: str = "") -> None:
        """`holder`: what others are told of who has it."""
        self.path = path
        self._holder = holder
        self._fd: int | None = None
        _LOCKS.add(self)

    @property
    def held(self) -> bool:
        """Whether this process holds it."""
        return self._fd is not None

    def acquire(self) -> bool:
        """Takes the lock if it is free; never waits. Raises `DirectoryError`."""
        if self._fd is not None:
            return True
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise DirectoryError(
                self.path, error.strerror or str(error), "give this user write access to the directory"
            ) from error
        try:
            fcntl.fcntl(fd, _F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except OSError as error:
            os.close(fd)
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            raise DirectoryError(
                self.path, f"cannot be locked: {error.strerror}", "use a local file system"
            ) from error
        with contextlib.suppress(OSError):  # On a full disk others are told less.
            os.ftruncate(fd, 0)
            os.pwrite(fd, self._holder.encode(), 0)
        self._fd = fd
        return True

    def holder(self) -> str:
        """What is told of who else has it; "" where nobody has, or an embedded owner."""
        with contextlib.suppress(OSError, ValueError):
            fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                # Read first: what a holder that was killed left there counts for nothing.
                told = os.pread(fd, 16, 0).decode("ascii")
                asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                kind = _FLOCK.unpack(fcntl.fcntl(fd, _F_OFD_GETLK, asked))[0]
                return "" if kind == fcntl.F_UNLCK else told
            finally:
                os.close(fd)
        return ""

    def release(self) -> None:
        """Gives the lock up. Again: nothing."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


_LOCKS: weakref.WeakSet[OwnerLock] = weakref.WeakSet()


def _drop_in_child() -> None:
    # Closing an inherited descriptor does not unlock: the parent's own is still open.
    for lock in list(_LOCKS):
        with contextlib.suppress(OSError):
            lock.release()


os.register_at_fork(after_in_child=_drop_in_child)

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

from .errors import DirectoryError

_F_OFD_SETLK = getattr(fcntl, "F_OFD_SETLK", 37)  # Python 3.8 and later name it on Linux only
_FLOCK = struct.Struct("hhqqi4x")  # type, whence, start, length, pid: struct flock on 64-bit Linux


class OwnerLock:
    """The lock of one directory, held or not."""

    def __init__(self, path: str) -> None:
        self.path = path
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
        self._fd = fd
        return True

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

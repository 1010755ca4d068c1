"""What can be wrong with the files of a replay. Every message says where and what to do."""

from fastcheck.errors import FastcheckError


class ReplayError(FastcheckError):
    """A file or a setting of a replay cannot be used."""


class TraceError(ReplayError):
    """A request trace cannot be read: names the file, the line and the column."""

    def __init__(
        self, filename: str, problem: str, hint: str, line: int | None = None, column: str | None = None
    ) -> None:
        where = filename + (f":{line}" if line is not None else "")
        super().__init__(f"{where}: {f'column {column}: ' if column else ''}{problem}; {hint}")
        self.filename = filename
        self.line = line
        self.column = column


class RatesError(ReplayError):
    """A rate card or a catalog template cannot be used."""

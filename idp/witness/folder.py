"""The witness as files: one file a day below `RAMET_VAR/witness`, one JSON line each, appended and flushed to the disk.

Another kind of witness (an object store, a log server) is a class with the methods of `Folder`, returned by `witness`.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from idp.config import config
from idp.witness.lines import Line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_TAIL = 512 * 1024  # longer than any line


class Damaged(ValueError):
    """A line of the witness that cannot be read."""


class Place(NamedTuple):
    """A place between two lines: the name of a file, and an offset in bytes."""

    file: str
    offset: int


class Folder:
    """A witness in a folder. Several processes may append to it; each holds the lock meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        """True if it has been begun on this machine."""
        return self._path.exists()

    def newest(self) -> Line | None:
        """The last line that was written whole, or None for a witness without lines.

        Raises: OSError.
        """
        for file in reversed(self._files()):
            with file.open("rb") as opened:
                opened.seek(max(0, file.stat().st_size - _TAIL))
                whole = opened.read().rpartition(b"\n")[0].split(b"\n")
            for text in reversed(whole):
                try:
                    return Line.read(text.decode())
                except ValueError:  # torn when a machine went down; the line before it counts
                    continue
        return None

    def lines(self) -> Iterator[Line]:
        """All lines, the oldest first.

        Raises: OSError; Damaged for a line that cannot be read, other than one torn at the end of a file.
        """
        return (line for line, _ in self.lines_after(None))

    def lines_after(self, after: Place | None) -> Iterator[tuple[Line, Place]]:
        """The lines after a place (None: all), the oldest first, each with the place of its end.

        Raises: OSError; Damaged for a line that cannot be read, other than one torn at the end of a file, and for a
        file that ends before the place.
        """
        files = self._files()
        if after and after.file not in {file.name for file in files}:
            message = f"{self._path / after.file} is missing"
            raise Damaged(message)
        for file in files:
            start = after.offset if after and file.name == after.file else 0
            if after and file.name < after.file:
                continue
            if file.stat().st_size < start:
                message = f"{file} was shortened"
                raise Damaged(message)
            with file.open("rb") as opened:
                offset = opened.seek(start)
                for text in opened:
                    try:
                        line = Line.read(text.decode())
                    except ValueError as error:
                        if not text.endswith(b"\n"):
                            continue
                        message = f"{file}, at byte {offset}: {error}"
                        raise Damaged(message) from error
                    offset += len(text) if text.endswith(b"\n") else 0
                    yield line, Place(file.name, offset)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock of the folder, which is made if it is missing: others wait before they append.

        Raises: OSError.
        """
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._path / "lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def append(self, lines: Sequence[Line]) -> None:
        """Append lines, and return when they are on the disk; call it within `held`.

        Raises: OSError.
        """
        # Writers that meet around midnight have taken the time before they waited: no line goes before the newest one.
        name = max([f"{lines[0].at[:10]}.jsonl", *(file.name for file in self._files()[-1:])])
        path = self._path / name
        is_new = not path.exists()
        opened = os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR, 0o600)
        try:
            size = os.fstat(opened).st_size
            torn = size > 0 and os.pread(opened, 1, size - 1) != b"\n"
            if torn:  # a line of a process that died while it wrote: take it off, since nobody relied on it
                os.ftruncate(opened, _whole(path))
            os.write(opened, "".join(f"{line.text()}\n" for line in lines).encode())
            os.fsync(opened)
        finally:
            os.close(opened)
        if is_new:
            folder = os.open(self._path, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _files(self) -> list[Path]:
        """The files, the oldest first; a path of one file is a copy of a day's."""
        return [self._path] if self._path.is_file() else sorted(self._path.glob("????-??-??.jsonl"))


def _whole(path: Path) -> int:
    """The length of a file up to the end of its last whole line."""
    return path.read_bytes().rfind(b"\n") + 1


def place() -> Path:
    """The folder of this installation's witness."""
    return config().var / "witness"


def witness() -> Folder:
    """The witness of this installation."""
    return Folder(place())

"""From a path, folder, glob or URL to the files it means, and from a failure to read one to the line that mends it."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import pyarrow as pa

from gpumon.errors import GpumonError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["File", "Unreadable", "find", "opened", "reading", "refusal"]

FORMATS = {
    "Parquet": (".parquet", ".parq", ".pq"),
    "Arrow": (".arrow", ".feather", ".ipc"),
    "CSV": (".csv", ".csv.gz", ".csv.bz2", ".csv.zst"),
}
MAGIC = {b"PAR1": "Parquet", b"ARRO": "Arrow"}
NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)  # there may be 100,000
class File:
    """A file to read: a local path or a URL, its size, and the ``key=value`` folders that it lies in."""

    path: str
    nbytes: int
    hive: tuple[tuple[str, str | None], ...] = ()


class Unreadable(NamedTuple):
    """A file that cannot be read, the rows in it that were to be counted (None: not known), and the line that says why."""

    path: str
    rows: int | None
    why: str


def refusal(files: Sequence[Unreadable], most: int = 20) -> InputError:
    """One error that names all of ``files``, with the reasons of the first ``most``."""
    if len(files) == 1:
        return InputError(files[0].why)
    told = "; ".join(file.why for file in files[:most])
    rest = ", ".join(file.path for file in files[most:])
    return InputError(f"{len(files):,} files cannot be read: {told}{'; and ' + rest if rest else ''}")


def find(source: str) -> tuple[str, list[File]]:
    """The format, "Parquet", "Arrow" or "CSV", and the files that ``source`` means, sorted by path.

    In a folder all files of the format count, at any depth, but those whose names begin with "." or "_".
    Raises InputError if nothing is found, if formats are mixed, or if the place cannot be reached.
    """
    import fsspec

    with reading(source):
        try:
            fs, root = fsspec.core.url_to_fs(source)
        except (ImportError, ValueError) as error:
            raise InputError(
                f"{source}: {error}; accepted are a local path and a URL that fsspec can open"
            ) from error
        local = "file" in fs.protocol
        if fs.isfile(root):
            file = File(root if local else source, fs.size(root))
            return _format_by_name(root) or _format_by_content(file.path), [file]
        if fs.isdir(root):
            above = root
            found = sorted(_walked(root)) if local else _told(fs.find(root, detail=True))
        elif any(sign in root for sign in "*?["):
            above = re.split(r"[^/]*[*?\[]", root, maxsplit=1)[0]
            found = _told(fs.glob(root, detail=True))
        else:
            raise FileNotFoundError(source)

    files: dict[str, list[File]] = {}
    for path, nbytes in found:
        folder, _, name = path.removeprefix(above).lstrip("/").rpartition("/")
        hive = _hive(folder)
        if hive is not None and name[0] not in "._" and (kind := _format_by_name(path)):
            files.setdefault(kind, []).append(
                File(path if local else fs.unstrip_protocol(path), nbytes, hive)
            )
    if len(files) > 1:
        mixed = " and ".join(some[0].path for some in files.values())
        raise InputError(
            f"{source} mixes formats, {mixed} for instance; name one with a glob such as *.parquet"
        )
    for kind, some in files.items():
        return kind, some
    endings = ", ".join(ending for endings in FORMATS.values() for ending in endings)
    raise InputError(f"{source}: there is no file whose name ends in {endings}; check the path")


def opened(path: str) -> pa.NativeFile:
    """The file, open for reading."""
    if "://" not in path:
        return pa.OSFile(path)
    import fsspec

    return pa.PythonFile(fsspec.open(path).open(), mode="r")


@contextmanager
def reading(path: str, what: str = "") -> Iterator[None]:
    """Turns whatever goes wrong while reading ``path`` into an InputError that says so and tells the mend."""
    try:
        yield
    except GpumonError:
        raise
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: there is no such file; check the path, or whether it was removed since"
        ) from error
    except PermissionError as error:
        raise InputError(
            f"{path}: no permission to read it; ask its owner, or run as a user who may"
        ) from error
    except (pa.ArrowException, OSError, EOFError, UnicodeError) as error:
        raise InputError(f"{path}: {_why(path, what, error)}") from error
    except Exception as error:
        if "://" in path:  # each remote filesystem has exceptions of its own
            raise InputError(
                f"{path}: {type(error).__name__}: {error}; check the URL and the credentials"
            ) from error
        raise


def _why(path: str, what: str, error: Exception) -> str:
    """What is wrong with a file that could not be read, as far as its ends tell."""
    said = " ".join(str(error).split())
    try:
        with opened(path) as file:
            size = file.size()
            first = file.read(4)
            file.seek(max(size - 4, 0))
            last = file.read(4)
    except (OSError, ValueError):
        return f"cannot be read: {said}; check the path"
    if size == 0:
        return "the file is empty (0 bytes); write it again"
    if what == "Parquet" and first != b"PAR1":
        return f"this is not a Parquet file, it begins with {first!r}; check the path"
    if what == "Parquet" and last != b"PAR1":
        return f"the file is cut short, its {size:,} bytes do not end in a footer; write or copy it again"
    return f"cannot be read{' as ' + what if what else ''}: {said}; write or copy it again"


def _format_by_name(path: str) -> str | None:
    lower = path.lower()
    return next((name for name, endings in FORMATS.items() if lower.endswith(endings)), None)


def _format_by_content(path: str) -> str:
    with opened(path) as file:
        first = file.read(4)
    if first not in MAGIC:
        endings = ", ".join(FORMATS["CSV"])
        raise InputError(
            f"{path}: neither a Parquet nor an Arrow file; if it is CSV, let its name end in {endings}"
        )
    return MAGIC[first]


def _walked(folder: str) -> Iterator[tuple[str, int]]:
    """The files in a local folder, at any depth, and their sizes; fsspec makes a dictionary of a kilobyte of each."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walked(entry.path)
            elif entry.is_file():
                yield entry.path, entry.stat().st_size


def _told(found: dict[str, Any]) -> list[tuple[str, int]]:
    """What fsspec found, without all that is no file."""
    return sorted((path, about["size"]) for path, about in found.items() if about["type"] == "file")


@lru_cache(maxsize=1024)
def _hive(folder: str) -> tuple[tuple[str, str | None], ...] | None:
    """The ``key=value`` parts of a folder's path; None if it is hidden."""
    parts = [part for part in folder.split("/") if part]
    if any(part[0] in "._" and "=" not in part for part in parts):
        return None
    pairs: Any = (part.partition("=") for part in parts if "=" in part)
    return tuple((unquote(key), None if value == NULL_FOLDER else unquote(value)) for key, _, value in pairs)

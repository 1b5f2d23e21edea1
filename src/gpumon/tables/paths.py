"""From a path, folder, glob or URL to the files it means, and from a failure to read one to the line that mends it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa

from gpumon.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["File", "find", "opened", "reading"]

FORMATS = {
    "Parquet": (".parquet", ".parq", ".pq"),
    "Arrow": (".arrow", ".feather", ".ipc"),
    "CSV": (".csv", ".csv.gz", ".csv.bz2", ".csv.zst"),
}
MAGIC = {b"PAR1": "Parquet", b"ARRO": "Arrow"}
NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class File:
    """A file to read: a local path or a URL, its size, and the ``key=value`` folders that it lies in."""

    path: str
    nbytes: int
    hive: tuple[tuple[str, str | None], ...] = ()


def find(source: str) -> tuple[str, list[File]]:
    """The format, "Parquet", "Arrow" or "CSV", and the files that ``source`` means, sorted by path.

    In a folder all files of the format count, at any depth, but those whose names begin with "." or "_".
    Raises InputError if nothing is found, if formats are mixed, or if the place cannot be reached.
    """
    import fsspec

    with reading(source):
        try:
            fs, root = fsspec.core.url_to_fs(source)
        except ImportError as error:
            raise InputError(f"{source}: {error}") from error
        except ValueError as error:
            raise InputError(f"{source}: {error}; a path or a URL that fsspec knows is needed") from error
        if fs.isfile(root):
            files = [File(source, fs.size(root))]
            return _format_of(source) or _format_by_content(source), files
        if fs.isdir(root):
            found, fixed = fs.find(root, detail=True), root
        elif any(sign in root for sign in "*?["):
            found, fixed = fs.glob(root, detail=True), re.split(r"[^/]*[*?\[]", root, maxsplit=1)[0]
        else:
            raise FileNotFoundError(source)

    local = "file" in fs.protocol
    files: list[File] = []
    formats: dict[str, str] = {}
    for path, about in sorted(found.items()):
        below = PurePosixPath(path.removeprefix(fixed).lstrip("/"))
        known = _format_of(path)
        if known and about["type"] == "file" and not any(p[0] in "._" and "=" not in p for p in below.parts):
            formats.setdefault(known, path)
            files.append(
                File(path if local else fs.unstrip_protocol(path), about["size"], _hive(below.parent))
            )
    if not files:
        endings = ", ".join(ending for endings in FORMATS.values() for ending in endings)
        raise InputError(f"{source}: no file found whose name ends in {endings}; check the path")
    if len(formats) > 1:
        raise InputError(
            f"{source} mixes formats: {', '.join(formats.values())}; name one with a glob such as *.parquet"
        )
    return next(iter(formats)), files


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
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: there is no such file; check the path, or whether it was removed meanwhile"
        ) from error
    except PermissionError as error:
        raise InputError(
            f"{path}: no permission to read it; ask its owner, or run as a user who may"
        ) from error
    except (pa.ArrowException, OSError, EOFError, UnicodeError) as error:
        raise InputError(f"{path}: {_why(path, what, error)}") from error


def _why(path: str, what: str, error: Exception) -> str:
    said = " ".join(str(error).split())
    if what == "Parquet":
        with opened(path) as file:
            size = file.size()
            first = file.read(4)
            file.seek(max(size - 4, 0))
            last = file.read(4)
        if size == 0:
            return "the file is empty (0 bytes); write it again"
        if first != b"PAR1":
            return f"this is not a Parquet file (it begins with {first!r}); check the path"
        if last != b"PAR1":
            return f"the file is cut short ({size:,} bytes without the footer at the end); write or copy it again"
    return f"cannot be read{' as ' + what if what else ''}: {said}; write or copy it again"


def _format_of(path: str) -> str | None:
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


def _hive(folder: PurePosixPath) -> tuple[tuple[str, str | None], ...]:
    """The ``key=value`` parts of a folder's path."""
    pairs: Any = (part.partition("=") for part in folder.parts if "=" in part)
    return tuple((unquote(key), None if value == NULL_FOLDER else unquote(value)) for key, _, value in pairs)

"""Profiles on disk: an Arrow IPC stream, one row a field of a state, closed by a SHA-256 of everything before it.

Any Arrow reader opens the stream; no pickle is written or read. ``docs/profile_file.md`` documents the format. The
checksum is verified before a byte is interpreted, and every state checks its shapes when it is built.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gpumon.errors import GpumonError, InputError, ProfileError
from gpumon.profiles.categorical import Categorical
from gpumon.profiles.numeric import Numeric, Sorted
from gpumon.profiles.pairs import Pairs
from gpumon.profiles.profile import Key, Profile
from gpumon.profiles.state import PLAN, State
from gpumon.profiles.times import Rows, Times
from gpumon.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FORMAT", "load", "save", "write"]

FORMAT = 1
MARK = b"gpumon profile\n"
EMPTY: dict[str, Callable[..., State]] = {
    kind.__name__: kind.on for kind in (Numeric, Sorted, Categorical, Pairs, Rows, Times)
}
DTYPES = ("int64", "float64", "uint64", "uint8")
TEXTS = "utf8"
ROW = pa.schema(
    [
        ("window", pa.string()),
        ("segment", pa.string()),
        ("subject", pa.string()),
        ("aspect", pa.string()),
        ("plan", pa.bool_()),  # of the (subject, aspect), for all its slices
        ("state", pa.string()),
        ("field", pa.string()),
        ("dtype", pa.string()),
        ("shape", pa.list_(pa.int32())),
        ("data", pa.binary()),  # little-endian, row-major; for "utf8" a JSON list
    ]
)


def save(profile: Profile, path: str | Path) -> None:
    """Write ``profile`` to ``path``, through a file beside it, so that a full disk never leaves half a profile."""
    rows = list(_rows(profile))
    columns = [pa.array([row[i] for row in rows], ROW.field(i).type) for i in range(len(ROW))]
    head = json.dumps({"format": FORMAT, "schema": profile.schema.to_json(), "facts": profile.facts})
    sink = pa.BufferOutputStream()
    schema = ROW.with_metadata({"gpumon": head})
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_batch(pa.record_batch(columns, schema=schema))
    body = sink.getvalue().to_pybytes() + MARK
    write(path, body + sha256(body).digest())


def write(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all; InputError names the file if the disk is full or permission is missing."""
    path = Path(path)
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as part:
            try:
                part.write(content)
                part.flush()
                os.fsync(part.fileno())
                mask = os.umask(0)
                os.umask(mask)
                os.chmod(part.name, 0o666 & ~mask)  # noqa: PTH101 (as open() would have made it)
                os.replace(part.name, path)  # noqa: PTH105
            except BaseException:
                with suppress(OSError):
                    os.unlink(part.name)  # noqa: PTH108
                raise
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}): choose another place or free some space"
        ) from error


def load(path: str | Path) -> Profile:
    """Read a profile that ``save`` wrote."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    body, digest = content[:-32], content[-32:]
    if not body.endswith(MARK):
        raise ProfileError(
            f"{path} is not a gpumon profile, or its end is missing: write it again with gpumon profile"
        )
    if sha256(body).digest() != digest:
        raise ProfileError(
            f"{path} is damaged (its checksum does not match): write it again with gpumon profile"
        )
    try:
        table = pa.ipc.open_stream(body[: -len(MARK)]).read_all()
        head = json.loads(table.schema.metadata[b"gpumon"])
        if head["format"] > FORMAT:
            raise ProfileError(
                f"{path} was written by a newer gpumon (format {head['format']}, this one reads {FORMAT}): update gpumon"
            )
        return _profile(head, table)
    except (pa.ArrowException, KeyError, TypeError, ValueError, GpumonError) as error:
        if isinstance(error, ProfileError) and str(path) in str(error):
            raise
        raise ProfileError(
            f"{path} holds no valid profile ({error}): write it again with gpumon profile"
        ) from error


def _rows(profile: Profile) -> Iterator[tuple[Any, ...]]:
    """A row for every field: those of the plan once for each (subject, aspect), the others for each slice."""
    for (subject, aspect), state in profile.plan.items():
        for name, value in _fields(state, plan=True):
            yield (None, None, subject, aspect, True, type(state).__name__, name, *_packed(value))
        if all(item.metadata != PLAN for item in fields(state)):
            yield (None, None, subject, aspect, True, type(state).__name__, "", *_packed(()))
    for key, state in profile.states.items():
        for name, value in _fields(state, plan=False):
            yield (*key, False, type(state).__name__, name, *_packed(value))


def _fields(state: State, *, plan: bool) -> Iterator[tuple[str, Any]]:
    for item in fields(state):
        value = getattr(state, item.name)
        if (item.metadata == PLAN) != plan:
            continue
        if isinstance(value, State):
            yield from ((f"{item.name}.{name}", inner) for name, inner in _fields(value, plan=False))
        else:
            yield item.name, value


def _packed(value: Any) -> tuple[str, list[int], bytes]:
    if isinstance(value, tuple):
        return TEXTS, [len(value)], json.dumps(value).encode()
    value = np.asarray(value)
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    return str(value.dtype), list(value.shape), little.tobytes()


def _unpacked(dtype: str, shape: list[int], data: bytes) -> Any:
    if dtype == TEXTS:
        texts = json.loads(data)
        if not (
            isinstance(texts, list)
            and len(texts) == shape[0]
            and all(isinstance(text, str) for text in texts)
        ):
            raise ProfileError("a list of names is damaged")
        return tuple(texts)
    if dtype not in DTYPES or min(shape, default=0) < 0:
        raise ProfileError(f"an array of type {dtype!r} and shape {shape} is not part of the format")
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)


def _profile(head: dict[str, Any], table: pa.Table) -> Profile:
    if not table.schema.equals(ROW):
        raise ProfileError("its columns are not those of the format")
    found: dict[tuple[bool, Key], tuple[str, dict[str, Any]]] = {}
    for row in table.to_pylist():
        place = row["plan"], Key(row["window"], row["segment"], row["subject"], row["aspect"])
        _, values = found.setdefault(place, (row["state"], {}))
        if row["field"]:
            values[row["field"]] = _unpacked(row["dtype"], row["shape"], row["data"])
    plan = {(key.subject, key.aspect): _planned(*it) for (planned, key), it in found.items() if planned}
    states = {
        key: _filled(plan[key.subject, key.aspect], values)
        for (planned, key), (_, values) in found.items()
        if not planned
    }
    return Profile(Schema.from_json(head["schema"]), plan, states, head["facts"])


def _planned(kind: str, values: dict[str, Any]) -> State:
    """The state of this kind with this plan and nothing counted."""
    if kind not in EMPTY:
        raise ProfileError(f"a state of kind {kind!r} is not part of the format")
    return EMPTY[kind](**values)


def _filled(plan: State, values: dict[str, Any]) -> State:
    """The state with the plan of ``plan`` and the counted fields of ``values``."""
    whole = {}
    for item in fields(plan):
        value = getattr(plan, item.name)
        if isinstance(value, State):
            value = type(value)(
                **{inner.name: values[f"{item.name}.{inner.name}"] for inner in fields(value)}
            )
        elif item.metadata != PLAN:
            value = values[item.name]
        whole[item.name] = value
    return type(plan)(**whole)

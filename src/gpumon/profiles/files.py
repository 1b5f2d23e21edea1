"""Profiles on disk: an Arrow IPC stream, one row a field of a state, closed by a SHA-256 of everything before it.

Any Arrow reader opens the stream; no pickle is written or read. ``docs/profile_file.md`` documents the format. The
checksum is verified before a byte is interpreted. A checksum keeps no forger out: so types, shapes and names are checked
too, and a file is either a profile that can be measured or a ProfileError.
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

from gpumon.errors import InputError, ProfileError
from gpumon.profiles.attributions import Attributions
from gpumon.profiles.categorical import Categorical
from gpumon.profiles.clusters import Clusters
from gpumon.profiles.confidence import Confidence
from gpumon.profiles.expected_losses import ExpectedLosses
from gpumon.profiles.groups import GroupCalibration, GroupErrors, Groups, SliceLosses, SlicePredictions
from gpumon.profiles.intervals import Intervals
from gpumon.profiles.labels import Confusion, Labelled, Residuals, Scores, SortedScores
from gpumon.profiles.numeric import Numeric, Sorted
from gpumon.profiles.pairs import Pairs
from gpumon.profiles.profile import Key, Profile
from gpumon.profiles.ranked_classes import RankedClasses
from gpumon.profiles.state import MAX, PLAN, SUM, State
from gpumon.profiles.times import Rows, Times
from gpumon.profiles.worst_rows import WorstRows
from gpumon.schema import Kind, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["FORMAT", "dumps", "load", "loads", "pack", "save", "unpack", "write"]

FORMAT = 1
MARK = b"gpumon profile\n"
EMPTY: dict[str, Callable[..., State]] = {
    kind.__name__: kind.on
    for kind in (
        Numeric,
        Sorted,
        Categorical,
        Pairs,
        Rows,
        Times,
        Confusion,
        Scores,
        Confidence,
        RankedClasses,
        Clusters,
        Residuals,
        SortedScores,
        Intervals,
        ExpectedLosses,
        Groups,
        GroupErrors,
        GroupCalibration,
        SliceLosses,
        SlicePredictions,
        WorstRows,
        Attributions,
    )
}
TEXTS = "utf8"
FIELDS = {
    "int64": "counts outside missing names.counts n rows span hours absolute at_step tallies cells groups parts checks most "
    "trees split_features split_codes outcomes",
    "float64": "edges moments extremes values centre scale tables sums squares products mass probability errors "
    "threshold sizes steps negatives positives limits nominal base residual_variance leaves cuts weighed losses centroids",
    "uint64": "names.hashes",
    "uint8": "registers",
    TEXTS: "vocabulary names.values columns weight classes positive features kinds loss output base_column identity ids",
}
DTYPES = {name: dtype for dtype, names in FIELDS.items() for name in names.split()}
ASPECTS: dict[Kind, dict[str, type[State]]] = {
    Kind.NUMERIC: {"values": Numeric},
    Kind.CATEGORICAL: {"values": Categorical},
    Kind.BOOLEAN: {"values": Categorical},
    Kind.DATETIME: {"values": Times},
    Kind.TEXT: {"values": Categorical, "length": Numeric, "pattern": Categorical},
}
LABELLED: dict[str, type[State]] = {  # by the first word of the aspect
    "confusion": Confusion,
    "scores": Scores,
    "confidence": Confidence,
    "ranked": RankedClasses,
    "clusters": Clusters,
    "sorted": SortedScores,
    "residuals": Residuals,
    "intervals": Intervals,
    "expected": ExpectedLosses,
    "groups": Groups,
    "group": GroupErrors,
    "calibration": GroupCalibration,
    "slices": SliceLosses,
    "sliced": SlicePredictions,
    "worst": WorstRows,
}
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
    write(path, dumps(profile))


def dumps(profile: Profile) -> bytes:
    """The content of the file that ``save`` writes.

    Equal rows make equal files, so how the run went (the fact "work") is left out.
    """
    facts = {name: value for name, value in profile.facts.items() if name != "work"}
    head = {"format": FORMAT, "schema": profile.schema.to_json(), "facts": facts}
    body = _stream([*_planned_rows(profile), *_counted_rows(profile)], head) + MARK
    return body + sha256(body).digest()


def pack(profile: Profile) -> bytes:
    """What was counted, without the plan: for another process that has the plan."""
    return _stream(list(_counted_rows(profile)), {})


def unpack(content: bytes, like: Profile) -> Profile:
    """The profile that was packed, on the plan of ``like``."""
    found: dict[Key, dict[str, Any]] = {}
    for row in pa.ipc.open_stream(content).read_all().to_pylist():
        values = found.setdefault(Key(row["window"], row["segment"], row["subject"], row["aspect"]), {})
        values[row["field"]] = _unpacked(row["field"], row["dtype"], row["shape"], row["data"])
    states = {key: _filled(like.plan[key.subject, key.aspect], values) for key, values in found.items()}
    return Profile(like.schema, like.plan, states)


def _stream(rows: list[tuple[Any, ...]], head: dict[str, Any]) -> bytes:
    columns = [pa.array([row[i] for row in rows], ROW.field(i).type) for i in range(len(ROW))]
    sink = pa.BufferOutputStream()
    schema = ROW.with_metadata({"gpumon": json.dumps(head)})
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_batch(pa.record_batch(columns, schema=schema))
    return bytes(sink.getvalue())


def write(path: str | Path, content: bytes) -> None:
    """Write a file whole or not at all; InputError names the file if the disk is full or permission is missing."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a device or a pipe, in whose place no file is to be put
            path.write_bytes(content)
        else:
            _replace(Path(os.path.realpath(path)), content)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(
            f"{path} cannot be written ({why}): choose another place or free some space"
        ) from error


def _replace(path: Path, content: bytes) -> None:
    """Write a file beside ``path``, then give it that name."""
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:32]}.", delete=False) as part:
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


def load(path: str | Path) -> Profile:
    """Read a profile that ``save`` wrote."""
    try:
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({why}): check the path and its permissions") from error
    return loads(content, path)


def loads(content: bytes, path: str | Path = "the profile") -> Profile:
    """The profile that ``dumps`` wrote; messages call it ``path``."""
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
        json.dumps(head, ensure_ascii=False).encode()  # ValueError for half a character, such as "\ud800"
        if head["format"] <= FORMAT:
            return _profile(head, table)
    except Exception as error:  # a forged file can make a parser raise anything
        why = " ".join(str(error).split())[:200]
        raise ProfileError(
            f"{path} holds no valid profile ({why}): write it again with gpumon profile"
        ) from error
    raise ProfileError(
        f"{path} was written by a newer gpumon (format {head['format']}, this one reads {FORMAT}): update gpumon"
    )


def _planned_rows(profile: Profile) -> Iterator[tuple[Any, ...]]:
    """A row for every field of the plan of each (subject, aspect)."""
    for (subject, aspect), state in profile.plan.items():
        for name, value in _fields(state, plan=True):
            yield (None, None, subject, aspect, True, type(state).__name__, name, *_packed(value))
        if all(item.metadata != PLAN for item in fields(state)):
            yield (None, None, subject, aspect, True, type(state).__name__, "", *_packed(()))


def _counted_rows(profile: Profile) -> Iterator[tuple[Any, ...]]:
    """A row for every counted field of each slice."""
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


def _unpacked(name: str, dtype: str, shape: list[int], data: bytes) -> Any:
    if dtype != DTYPES.get(name) or min(shape, default=0) < 0:
        raise ProfileError(f"a field {name!r} of type {dtype!r} and shape {shape} is not part of the format")
    if dtype == TEXTS:
        texts = json.loads(data)
        if not (isinstance(texts, list) and [len(texts)] == shape and all(isinstance(t, str) for t in texts)):
            raise ProfileError("a list of names is damaged")
        "".join(texts).encode()  # ValueError for half a character
        return tuple(texts)
    return np.frombuffer(data, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)


def _profile(head: dict[str, Any], table: pa.Table) -> Profile:
    if not table.schema.equals(ROW):
        raise ProfileError("its columns are not those of the format")
    table.validate(full=True)  # offsets that point out of a buffer would end the process
    found: dict[tuple[bool, Key], tuple[str, dict[str, Any]]] = {}
    for row in table.to_pylist():
        place = row["plan"], Key(row["window"], row["segment"], row["subject"], row["aspect"])
        _, values = found.setdefault(place, (row["state"], {}))
        if row["field"]:
            values[row["field"]] = _unpacked(row["field"], row["dtype"], row["shape"], row["data"])
    plan = {(key.subject, key.aspect): _planned(*it) for (planned, key), it in found.items() if planned}
    states = {
        key: _filled(plan[key.subject, key.aspect], values)
        for (planned, key), (_, values) in found.items()
        if not planned
    }
    schema = Schema.from_json(head["schema"])
    _check_plan(schema, plan)
    return Profile(schema, plan, states, _checked_facts(head["facts"]))


def _planned(kind: str, values: dict[str, Any]) -> State:
    """The state of this kind with this plan and nothing counted."""
    if kind not in EMPTY:
        raise ProfileError(f"a state of kind {kind!r} is not part of the format")
    if not all(np.ndim(value) == 1 for value in values.values()):
        raise ProfileError("a plan of other than lists is damaged")
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
            if item.metadata in (SUM, MAX) and np.shape(value) != np.shape(getattr(plan, item.name)):
                raise ProfileError(f"{item.name} have the shape {np.shape(value)}: the state is damaged")
            if item.metadata == SUM and value.dtype == np.int64 and (value < 0).any():
                raise ProfileError(f"{item.name} are negative: the state is damaged")
        whole[item.name] = value
    return type(plan)(**whole)


def _check_plan(schema: Schema, plan: dict[tuple[str, str], State]) -> None:
    """Raise a ProfileError unless every column has the states of its kind, and nothing else has any."""
    numeric = [column.name for column in schema if column.kind is Kind.NUMERIC]
    needed: dict[tuple[str, str], type[State]] = {("", "rows"): Rows} | {
        (column.name, aspect): kind for column in schema for aspect, kind in ASPECTS[column.kind].items()
    }
    allowed = needed | {("", aspect): Pairs for aspect in ("pearson", "spearman")}
    allowed |= {(name, "sorted"): Sorted for name in numeric}
    allowed |= {("", "attributions"): Attributions}
    kinds = {key: type(state) for key, state in plan.items() if not isinstance(state, Labelled)}
    if len(set(schema.names)) < len(schema) or not needed.items() <= kinds.items() <= allowed.items():
        raise ProfileError("its states are not those of its columns")
    for (subject, aspect), labelled in plan.items():
        if not isinstance(labelled, Labelled):
            continue
        kind = LABELLED.get(aspect.partition(" ")[0])
        if subject or type(labelled) is not kind or not set(labelled.sources) <= set(schema.names):
            raise ProfileError("its predictions and labels are not those of its columns")
        if isinstance(labelled, ExpectedLosses):
            _check_cells(schema, plan, labelled)
    attributed = plan.get(("", "attributions"))
    if isinstance(attributed, Attributions) and not set(attributed.sources) <= set(numeric):
        raise ProfileError("its attributions are not those of its numeric columns")
    for column in schema:
        state = plan[column.name, "values"]
        if isinstance(state, Categorical) and len(set(state.vocabulary)) < len(state.vocabulary):
            raise ProfileError(f"a value of column {column.name!r} stands twice in its vocabulary")
        if column.kind is Kind.BOOLEAN and getattr(state, "vocabulary", ()) != ("false", "true"):
            raise ProfileError(f"column {column.name!r} of true and false has another vocabulary")
    values = {subject: state for (subject, aspect), state in plan.items() if aspect == "values"}
    cells = {name: state.edges.size + 5 for name, state in values.items() if isinstance(state, Numeric)}
    for pairs in (state for state in plan.values() if isinstance(state, Pairs)):
        size = sum(cells[name] for name in pairs.columns)
        numbers = np.concatenate((pairs.centre, pairs.scale, pairs.tables))
        if pairs.tables.size not in {0, size} or not np.isfinite(numbers).all() or (pairs.scale <= 0).any():
            raise ProfileError("its pairs are not those of its numeric columns")


def _check_cells(schema: Schema, plan: dict[tuple[str, str], State], losses: ExpectedLosses) -> None:
    """Raise a ProfileError unless every cell of a feature has its code."""
    for name, size in zip(losses.columns[1:], losses.cells.tolist(), strict=True):
        state = plan[name, "values"]
        numeric = isinstance(state, Numeric) and size == state.edges.size + 5
        categorical = isinstance(state, Categorical) and size <= len(state.vocabulary) + 2
        if schema[name].kind is Kind.TEXT or not (numeric or categorical):
            raise ProfileError(f"the codes of column {name!r} are not those of its cells")


def _checked_facts(facts: Any) -> dict[str, Any]:
    told = (*(facts.get(fact, "") for fact in ("name", "backend", "why")), *facts.get("notes", ()))
    files = [
        isinstance(path, str) and isinstance(rows, int | None) and isinstance(why, str)
        for path, rows, why in facts.get("unreadable", ())
    ]
    importance = facts.get("importance", {"method": "", "of": {}, "rows": 0})
    numbers = (importance["rows"], *importance["of"].values())
    told = (*told, importance["method"])
    known = all(isinstance(number, int | float) for number in numbers)
    if not all(isinstance(text, str) for text in told) or not all(files) or not known:
        raise ProfileError("what it says about its table is damaged")
    return dict(facts)

"""A profile on disk: it loads equal, and whatever else stands in the file is refused in one line."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
import textwrap
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import gpumon
from gpumon.errors import InputError, ProfileError
from gpumon.profiles import files

MARK = b"gpumon profile\n"


def table(n: int = 60) -> pa.Table:
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "x": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.1),
            "y": rng.integers(0, 5, n),
            "word": pa.array(rng.choice(["a", "ü", "", "🙂"], n), mask=rng.random(n) < 0.1),
            "flag": rng.random(n) < 0.5,
            "when": np.datetime64("2026-01-01") + rng.integers(0, 9**6, n).astype("timedelta64[s]"),
        }
    )


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("profile") / "small.gpumon"
    gpumon.profile(table()).save(path)
    return path.read_bytes()


def signed(body: bytes) -> bytes:
    return body + sha256(body).digest()


def refused(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "p.gpumon"
    path.write_bytes(content)
    with pytest.raises(ProfileError) as caught:
        gpumon.Profile.load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{}, {"exact": True}, {"by": ["word"]}, {"timestamp": "when", "every": "1d", "by": "flag"}],
    ids=str,
)
def test_a_saved_profile_loads_equal(tmp_path, options):
    counted = gpumon.profile(table(), **options)
    for saved in (counted, counted.with_totals(), counted.empty(), counted + counted):
        saved.save(tmp_path / "p.gpumon")
        loaded = gpumon.Profile.load(tmp_path / "p.gpumon")
        assert loaded == saved
        assert loaded.schema == saved.schema
        assert loaded.facts == {name: fact for name, fact in saved.facts.items() if name != "work"}
        assert loaded + loaded == saved + saved


def test_names_from_outside_the_vocabulary_survive(tmp_path):
    plan = gpumon.profile(table())
    words = table().set_column(2, "word", pa.array([f"new {i}" for i in range(60)]))
    counted = gpumon.profile(words, like=plan)
    counted.save(tmp_path / "p.gpumon")
    assert gpumon.Profile.load(tmp_path / "p.gpumon") == counted
    assert len(counted.state("word").names.values) == 60


def test_what_is_no_profile_is_refused(tmp_path, content):
    for other in (b"", b"\0", b"PAR1" * 50, MARK, content[:-1], content[1:], content[: len(content) // 2]):
        assert "write it again" in refused(tmp_path, other)
    assert "checksum" in refused(tmp_path, content[:100] + bytes([content[100] ^ 1]) + content[101:])
    assert "no valid profile" in refused(tmp_path, signed(MARK))


def test_a_profile_that_is_absent_or_unreadable_is_an_input_error(tmp_path):
    for path in (tmp_path / "none.gpumon", tmp_path, "a\0b.gpumon"):
        with pytest.raises(InputError, match=r"cannot be read .*check the path"):
            gpumon.Profile.load(path)


def rewritten(content: bytes, change) -> bytes:
    """The profile with its rows and its head changed, and a checksum that fits."""
    read = pa.ipc.open_stream(content[: -32 - len(MARK)]).read_all()
    rows, head = read.to_pylist(), json.loads(read.schema.metadata[b"gpumon"])
    change(rows, head)
    schema = files.ROW.with_metadata({"gpumon": json.dumps(head)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_table(pa.Table.from_pylist(rows, schema))
    return signed(sink.getvalue().to_pybytes() + MARK)


def at(rows: list, field: str, subject: str | None = None) -> dict:
    return next(row for row in rows if row["field"] == field and subject in (None, row["subject"]))


def change_head(**items):
    return lambda rows, head: head.update(items)


def change_row(field: str, subject: str | None = None, **items):
    return lambda rows, head: at(rows, field, subject).update(items)


def change_array(field: str, place: int, value: float, dtype: str, subject: str | None = None):
    def change(rows, head):
        row = at(rows, field, subject)
        array = np.frombuffer(row["data"], dtype).copy()
        array[place] = value
        row["data"] = array.tobytes()

    return change


def rename_column(rows, head):
    head["schema"]["columns"][0]["name"] = "z"


def double_column(rows, head):
    head["schema"]["columns"].append(head["schema"]["columns"][0])


FORGERIES = {
    "format as text": change_head(format="1"),
    "no facts": change_head(facts=None),
    "facts that are no text": change_head(facts={"name": 3}),
    "notes that are no texts": change_head(facts={"notes": [1]}),
    "files without a reason": change_head(facts={"unreadable": [["a.parquet", 3]]}),
    "files whose rows are no number": change_head(facts={"unreadable": [["a.parquet", "3", "why"]]}),
    "half a character": change_head(facts={"name": "\ud800"}),
    "no schema": change_head(schema={}),
    "a column without a state": rename_column,
    "a column twice": double_column,
    "an unknown kind of state": lambda rows, head: [row.update(state="Pickle") for row in rows],
    "an unknown type": change_row("edges", dtype="object"),
    "a type of another field": change_row("counts", "x", dtype="float64"),
    "a negative shape": change_row("edges", shape=[-1]),
    "a shape that is too large": change_row("edges", shape=[2**31 - 1, 2**31 - 1]),
    "two dimensions": lambda rows, head: at(rows, "edges", "y").update(shape=[1, *at(rows, "edges", "y")["shape"]]),
    "no data": change_row("edges", data=None),
    "edges that fall": change_array("edges", 0, 9.0, "<f8", "y"),
    "edges that are no numbers": change_array("edges", 0, np.nan, "<f8"),
    "negative counts": change_array("counts", 3, -1, "<i8", "x"),
    "rows in a list": change_row("rows", shape=[1]),
    "names that are no texts": change_row("vocabulary", "word", data=b"[1, 2, 3, 4]"),
    "names without an end": change_row("vocabulary", "word", data=b"[" * 100_000),
    "a name twice": change_row("vocabulary", "word", data=b'["a", "a", "b", "c"]', shape=[4]),
    "half a name": change_row("vocabulary", "word", data=b'["\\ud800", "a", "b", "c"]', shape=[4]),
    "flags with other names": change_row("vocabulary", "flag", data=b'["no", "yes"]'),
    "pairs of other columns": change_row("columns", data=b'["x", "word"]'),
    "a scale of zero": change_array("scale", 0, 0.0, "<f8"),
    "a field less": lambda rows, head: rows.remove(at(rows, "registers", "x")),
    "a plan less": lambda rows, head: rows.remove(at(rows, "edges", "x")),
}  # fmt: skip


@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_profile_is_refused_though_its_checksum_fits(tmp_path, content, change):
    assert "holds no valid profile" in refused(tmp_path, rewritten(content, change))


def test_a_profile_of_a_newer_version_says_so(tmp_path, content):
    said = refused(tmp_path, rewritten(content, change_head(format=7, schema="of the future")))
    assert "was written by a newer gpumon (format 7, this one reads 1): update gpumon" in said


def test_a_rewritten_profile_that_says_the_same_is_the_same(tmp_path, content):
    (tmp_path / "p.gpumon").write_bytes(rewritten(content, lambda rows, head: rows.reverse()))
    assert gpumon.Profile.load(tmp_path / "p.gpumon") == gpumon.profile(table())


FUZZ = """
    import faulthandler, random, sys, warnings
    from hashlib import sha256
    from pathlib import Path
    from gpumon.errors import GpumonError, ProfileError
    from gpumon.profiles.files import MARK, load

    faulthandler.enable()
    faulthandler.dump_traceback_later(120, exit=True)
    warnings.simplefilter("error")
    path, content, plain = Path(sys.argv[1]), *(Path(name).read_bytes() for name in sys.argv[2:])
    bodies, r = [whole[: -32 - len(MARK)] for whole in (content, plain)], random.Random(0)

    def mutated(data):
        data = bytearray(data)
        for _ in range(r.choice((1, 1, 1, 2, 8))):
            i, j = sorted((r.randrange(len(data) + 1), r.randrange(len(data) + 1)))
            match r.randrange(6):
                case 0 | 1 if i < len(data):
                    data[i] ^= 1 << r.randrange(8)
                case 2 if i < len(data):
                    data[i] = r.choice((0, 1, 127, 128, 255))
                case 3:
                    del data[i : i + r.choice((1, 4, 8, 64))]
                case 4:
                    data[i:i] = r.randbytes(r.choice((1, 4, 8, 64)))
                case 5:
                    del data[r.choice((i, j)) :]
            if not data:
                break
        return bytes(data)

    found = {}
    for i in range(10_000):
        if i % 4:
            attempt = mutated(content)
        else:
            whole = mutated(r.choice(bodies)) + MARK
            attempt = whole + sha256(whole).digest()
        path.write_bytes(attempt)
        try:
            load(path)
            kind = "loaded"
        except ProfileError as error:
            assert len(str(error).splitlines()) == 1
            kind = "signed" if "holds no valid" in str(error) else "refused"
        found[kind] = found.get(kind, 0) + 1
    print(found)
"""


def test_ten_thousand_mutated_profiles_are_refused_and_nothing_else_happens(tmp_path, content):
    """In a process of its own, so that a crash of Arrow's reader would show as a signal."""
    names = [tmp_path / name for name in ("mutated", "compressed", "plain")]
    names[1].write_bytes(content)
    names[2].write_bytes(rewritten(content, lambda rows, head: None))
    arguments = [sys.executable, "-c", textwrap.dedent(FUZZ), *names]
    ended = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=150)
    assert ended.returncode == 0, ended.stderr[-3000:]
    found = eval(ended.stdout)
    assert sum(found.values()) == 10_000
    assert found["signed"] > 1500
    assert found["refused"] > 7000
    assert found.get("loaded", 0) < 1000  # a byte of padding, or of a number that stays a number


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "p.gpumon"
    counted = gpumon.profile(table())
    counted.save(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        InputError, match=r"p\.gpumon cannot be written \(No space left on device\): choose another"
    ):
        (counted + counted).save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["p.gpumon"]


def test_a_file_that_may_not_grow_is_not_left_half_written(tmp_path):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))

    code = "import sys; from gpumon.profiles.files import write; write(sys.argv[1], bytes(10**6))"
    arguments = [sys.executable, "-c", code, tmp_path / "big"]
    ended = subprocess.run(arguments, check=False, capture_output=True, text=True, preexec_fn=limit)
    assert "InputError" in ended.stderr
    assert "File too large" in ended.stderr
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "none" / "p", tmp_path, tmp_path / "file" / "p", "a\0b", "/proc/p"):
        with pytest.raises(InputError, match="cannot be written"):
            files.write(path, b"x")


def test_devices_are_written_to_and_not_replaced():
    with pytest.raises(InputError, match=r"/dev/full cannot be written \(No space left on device\)"):
        files.write("/dev/full", b"x")
    files.write("/dev/null", b"x")
    assert not Path("/dev/full").is_file()
    assert Path("/dev/null").is_char_device()


def test_a_link_stays_a_link_and_a_long_name_is_no_obstacle(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    files.write(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"x"
    files.write(tmp_path / ("n" * 250), b"x")
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

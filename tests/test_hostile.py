"""Tables that nobody would make on purpose, and those that somebody would."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import gpumon
from gpumon import cli
from gpumon.errors import GpumonError, InputError
from gpumon.metrics.results import STATUSES
from gpumon.profiles.categorical import MOST_NAMES, Categorical
from gpumon.profiles.numeric import Numeric
from gpumon.profiles.profile import Key

# Any table: 0 to 50 rows of any of these, each with nulls.
FLOATS = st.one_of(
    st.floats(),
    st.sampled_from(
        [np.nan, np.inf, -np.inf, -0.0, 0.0, 5e-324, 1e-310, 1.7976931348623157e308, -1e308, 1.0]
    ),
)
COLUMNS = {
    "float": (pa.float64(), FLOATS),
    "single": (pa.float32(), st.floats(width=32)),
    "int": (pa.int64(), st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(0, 3))),
    "byte": (pa.uint8(), st.integers(0, 255)),
    "flag": (pa.bool_(), st.booleans()),
    "word": (pa.string(), st.one_of(st.text(max_size=20), st.sampled_from(["a", "b", "", "\0", "🙂", "e\u0301"]))),
    "coded": (pa.dictionary(pa.int32(), pa.string()), st.sampled_from(["a", "b", "c", "", "ü"])),
    "when": (pa.timestamp("us"), st.integers(-(10**15), 4 * 10**15)),
    "day": (pa.date32(), st.integers(-(10**5), 10**5)),
}  # fmt: skip
WINDOWED = st.integers(0, 9 * 86_400_000_000)


@st.composite
def columns(draw: st.DrawFn, size: int, kind: str) -> pa.Array:
    arrow, values = COLUMNS[kind]
    items = draw(st.lists(st.one_of(st.none(), values), min_size=size, max_size=size))
    if kind == "coded":
        return pa.array(items, pa.string()).dictionary_encode()
    whole = {"when": pa.int64(), "day": pa.int32()}.get(kind, arrow)
    return pa.array(items, whole).cast(arrow)


@st.composite
def tables(draw: st.DrawFn, kinds: dict[str, str], least: int = 0) -> pa.Table:
    size = draw(st.integers(least, 50))
    made = {name: draw(columns(size, kind)) for name, kind in kinds.items()}
    times = draw(st.lists(st.one_of(st.none(), WINDOWED), min_size=size, max_size=size))
    return pa.table({**made, "t": pa.array(times, pa.int64()).cast(pa.timestamp("us"))})


NAMES = st.one_of(
    st.sampled_from(["x", "", "id", "target", "a ~ b", "🙂", "<b>", "t_id"]), st.text(max_size=5)
)
KINDS = st.dictionaries(
    NAMES.filter(lambda name: name != "t"), st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=3
)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[pa.Table, pa.Table]:
    kinds = draw(KINDS)
    return draw(tables(kinds)), draw(tables(kinds))


any_tables = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink two tables takes minutes
)


def scanned(current: pa.Table, reference: pa.Table, **options: object) -> gpumon.Report | None:
    """The report; without a row in the reference there is an error instead."""
    if reference.num_rows:
        return gpumon.scan(current, reference, **options)
    with pytest.raises(InputError, match="the reference table has no rows"):
        gpumon.scan(current, reference, **options)
    return None


def sound(report: gpumon.Report) -> None:
    """What every report keeps, whatever the tables: warnings are errors in these tests."""
    results = report.results
    assert set(results["status"].tolist()) <= set(STATUSES)
    assert report.status in STATUSES
    key = ("metric", "id", "method", "column", "window", "segment")
    counted = Counter(zip(*(results[name].tolist() for name in key), strict=True))
    assert max(counted.values()) == 1
    for row in results:
        if not any(np.isnan([row.lower, row.value, row.upper])):
            assert row.lower <= row.value <= row.upper, row
        assert np.isnan(row.value) == (row.status == "no_data"), row
        assert np.isnan(row.p_value) or 0 <= row.p_value <= 1
    assert set(report.columns.values()) <= set(STATUSES)


@any_tables
@given(pairs())
def test_any_two_tables_give_a_sound_report(two):
    current, reference = two
    report = scanned(current, reference)
    if report is not None:
        sound(report)
        assert report.status == "no_data" or current.num_rows


def test_a_spread_whose_reciprocal_is_beyond_floats_has_correlations_all_the_same():
    reference = pa.table({"x": [0.0, 0.0, 1e-310, 2e-310], "y": [1.0, 2.0, 3.0, 4.0]})
    for backend in ("cpu", "plain"):
        report = gpumon.scan(reference, reference, backend=backend)
        sound(report)
        assert np.isfinite(report.current.states[Key(None, None, "", "pearson")].products).all()


@any_tables
@given(pairs(), st.sampled_from(["1h", "1d", "1w", "1mo"]))
def test_windows_and_segments_of_any_tables_are_sound_too(two, every):
    current, reference = two
    by = [name for name in current.column_names if name != "t"][-1:]
    report = scanned(current, reference, timestamp="t", every=every, by=by)
    if report is not None:
        sound(report)
        assert report.current.rows == current.num_rows


@settings(any_tables, max_examples=20)
@given(pairs())
def test_exact_and_the_plain_backend_are_sound_too(two):
    current, reference = two
    if reference.num_rows:
        sound(gpumon.scan(current, reference, exact=True))
        sound(gpumon.scan(current, reference, backend="plain"))


WIDE = pa.table({"x": [-7e16, 1.7976931348623157e308, 1.8, 0.0, 0.0, 1.0, -5.0]})


@settings(any_tables, max_examples=20)
@given(pairs())
@example((WIDE, WIDE))
def test_every_view_of_any_report_can_be_made(two):
    current, reference = two
    if reference.num_rows:
        report = gpumon.scan(current, reference)
        assert not unprintable(str(report))
        assert "<table>" in report._repr_html_()
        for kind in (".html", ".json", ".parquet", ".csv"):
            assert report._content(Path(f"report{kind}"))


def agree(one: gpumon.Profile, other: gpumon.Profile) -> None:
    """Counts, registers, extremes and names bit for bit; moments and co-moments within rounding."""
    assert one.schema.columns == other.schema.columns
    assert one.states.keys() == other.states.keys()
    for key, state in one.states.items():
        twin = other.states[key]
        assert type(twin) is type(state)
        for name in state.__dataclass_fields__:
            a, b = getattr(state, name), getattr(twin, name)
            if name == "moments":
                assert a[0] == b[0]
                scale = max(map(abs, state.extremes.tolist())) if a[0] else 0.0  # type: ignore[attr-defined]
                with np.errstate(over="ignore", invalid="ignore"):
                    if np.isfinite([*a, *b]).all() and scale < 1e150:
                        assert abs(a[1] - b[1]) <= 1e-12 * scale
                        assert abs(a[2] - b[2]) <= 1e-12 * max(a[2], a[0] * scale**2)
            elif name not in {"sums", "squares", "products"}:
                assert np.array_equal(a, b) if isinstance(a, np.ndarray | np.generic) else a == b, (key, name)


@st.composite
def cuts(draw: st.DrawFn) -> tuple[pa.Table, pa.Table, int, int]:
    kinds = draw(KINDS)
    rows = draw(tables(kinds))
    first, second = sorted(draw(st.lists(st.integers(0, rows.num_rows), min_size=2, max_size=2)))
    return draw(tables(kinds, least=1)), rows, first, second


@any_tables
@given(cuts(), st.booleans())
def test_a_profile_is_the_sum_of_its_parts_in_any_order(cut, sliced):
    reference, rows, first, second = cut
    options = {"timestamp": "t", "every": "1d"} if sliced else {}
    plan = gpumon.profile(reference)
    whole = gpumon.profile(rows, like=plan, **options)
    slices = (rows.slice(0, first), rows.slice(first, second - first), rows.slice(second))
    a, b, c = (gpumon.profile(part, like=plan, **options) for part in slices)
    agree(a + b, b + a)
    agree((a + b) + c, a + (b + c))
    agree(a + b + c, whole)


@settings(any_tables, max_examples=40)
@given(cuts())
def test_any_profile_is_loaded_as_it_was_saved(tmp_path_factory, cut):
    reference, rows, _, _ = cut
    path = tmp_path_factory.getbasetemp() / "any.gpumon"
    plan = gpumon.profile(reference)
    for saved in (plan, gpumon.profile(rows, like=plan, timestamp="t", every="1d")):
        saved.save(path)
        assert gpumon.Profile.load(path) == saved
        assert gpumon.Profile.load(path).schema == saved.schema


# Texts that are made to do something.
ATTACKS = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "javascript:alert(1)",
    "\"'><svg onload=alert(1)>", "<!--", "]]>", "{{ 7 * 7 }}", "${7*7}", "%s%n", "a\0b", "\x1b[31mred\x1b]0;title\x07", "\r\n\t\v\f",
    "\u2028\u2029", "\u202eabc\u202c", "\ufeff", "e\u0301", "é", "🏳\ufe0f\u200d🌈", "ا ب", "", " ", "\\", "x" * 10_240, "=1+1", "[bold]", "[/]",
    "a ~ b", "\x9b31m",
]  # fmt: skip
N = 600


def hostile(shift: float) -> pa.Table:
    rng = np.random.default_rng(0)
    made = {f"{name}": pa.array(rng.normal(shift, 1, N)) for name in ATTACKS}
    words = rng.choice(np.array(ATTACKS, object), N).tolist()
    return pa.table({**made, "word": words, "moved <i>": [ATTACKS[0] if shift else "fine"] * N})


@pytest.fixture(scope="module")
def attack(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("<attack>")
    pq.write_table(hostile(0), folder / "reference.parquet")
    pq.write_table(hostile(3), folder / "<b>current.parquet")
    return folder


@pytest.fixture(scope="module")
def report(attack) -> gpumon.Report:
    return gpumon.scan(
        str(attack / "<b>current.parquet"),
        str(attack / "reference.parquet"),
        by="word",
        metrics=["psi", "jensen_shannon"],
    )


def unprintable(text: str) -> list[str]:
    return [letter for letter in text if not letter.isprintable() and letter != "\n"]


class Page(HTMLParser):
    """The tags of a page, its handlers of events and the addresses that it names."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.handlers: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action"}]


def test_nothing_from_data_runs_in_a_page_or_in_a_notebook(report):
    plain = gpumon.scan({"x": np.arange(9.0)}, {"x": np.arange(9.0)})
    for view in (lambda it: it._content(Path("r.html")).decode(), lambda it: it._repr_html_()):
        page, other = Page(), Page()
        page.feed(view(report))
        other.feed(view(plain))
        assert page.handlers == []
        assert page.tags["script"] == other.tags["script"]
        assert page.tags["img"] == page.tags["iframe"] == 0
        assert not any(address.lower().startswith("javascript:") for address in page.addresses)


def test_a_terminal_gets_no_control_characters(report, attack, monkeypatch, capsys):
    assert unprintable(str(report)) == []
    assert max(map(len, str(report).splitlines())) <= 240
    for words in (
        [
            "scan",
            attack / "reference.parquet",
            attack / "<b>current.parquet",
            "--metrics",
            "psi",
            "--verbose",
        ],
        ["scan", attack / "reference.parquet", attack / "<b>current.parquet", "--columns", "\x1b[31mz"],
        ["profile", attack / "reference.parquet", "-o", attack / "p.gpumon", "--verbose"],
        ["show", attack / "p.gpumon"],
        ["scan", "\x1b]0;title\x07", "b"],
    ):
        monkeypatch.setattr(sys, "argv", ["gpumon", *map(str, words)])
        with pytest.raises(SystemExit):
            cli.main()
        out, err = capsys.readouterr()
        assert out or err
        assert unprintable(out) == unprintable(err) == []


def test_a_profile_that_was_made_to_be_shown_is_harmless(tmp_path, monkeypatch, capsys):
    counted = gpumon.profile({"x": [1.0, 2.0]})
    counted.facts.update(name="\x1b[2Jempty\x07", notes=["\x1b[31mnote"])
    counted.save(tmp_path / "p.gpumon")
    for words in (
        ["show", "p.gpumon"],
        ["scan", "p.gpumon", "p.gpumon"],
        ["profile", "p.gpumon", "-o", "q.gpumon"],
    ):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["gpumon", *words])
        with pytest.raises(SystemExit):
            cli.main()
        out, err = capsys.readouterr()
        assert unprintable(out) == unprintable(err) == []


@pytest.mark.parametrize(
    "content",
    ['{"status": "ok", "sentence": "s", "columns": [{"column": "a", "status": "grave"}]}', "[" * 100_000, "{}", "[]", "null",
     '{"status": [], "sentence": 1, "columns": 2}', '{"status": "ok", "sentence": 3, "columns": []}', "\0", "{", '"\\ud800"',
     '{"status": "ok", "sentence": "s", "columns": [{"column": 3, "status": "warn"}]}'],
    ids=range(11),
)  # fmt: skip
def test_a_document_that_is_no_report_is_refused_in_one_line(tmp_path, monkeypatch, capsys, content):
    (tmp_path / "r.json").write_text(content)
    monkeypatch.setattr(sys, "argv", ["gpumon", "show", str(tmp_path / "r.json")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (3, "")
    assert "r.json is not a report of gpumon: write one with gpumon scan --json" in err
    assert err.count("\n") == 1


def test_names_of_any_unicode_come_back_as_they_are(report, tmp_path):
    labels = {name.split(" (")[0] for name in report.columns}
    assert set(ATTACKS) <= labels
    report.save(tmp_path / "r.parquet")
    assert set(ATTACKS) <= set(pq.read_table(tmp_path / "r.parquet")["column"].to_pylist())
    report.current.save(tmp_path / "p.gpumon")
    assert gpumon.Profile.load(tmp_path / "p.gpumon").columns == report.current.columns
    assert set(report.results.where(column="", metric="psi", segment=None)["status"]) == {"alert"}


def test_strings_that_are_no_utf8_are_counted_and_shown_with_a_mark(tmp_path):
    def strings(*values: bytes) -> pa.Table:
        ends = np.cumsum([0, *map(len, values)]).astype(np.int32)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
        return pa.table(
            {"a": pa.Array.from_buffers(pa.string(), len(values), buffers), "x": np.arange(len(values))}
        )

    reference, current = (
        strings(*[b"fine", b"caf\xe9", b"\xff\xfe"] * 9),
        strings(*[b"fine", b"\xc3\x28"] * 9),
    )
    pq.write_table(reference, tmp_path / "r.parquet")
    pq.write_table(current, tmp_path / "c.parquet")
    for source in ((current, reference), (str(tmp_path / "c.parquet"), str(tmp_path / "r.parquet"))):
        report = gpumon.scan(*source)
        state = report.reference.state("a")
        assert isinstance(state, Categorical)
        assert state.vocabulary == ("fine",)
        assert (state.counts.sum(), state.outside.sum(), int(state.missing)) == (9, 18, 0)
        now = report.current.state("a")
        assert isinstance(now, Categorical)
        assert now.names.items() == [("\ufffd(", 9)]
        sound(report)
        assert report._content(Path("r.html"))
        assert not unprintable(str(report))


def test_a_million_categories_leave_a_small_profile_whose_counts_are_certified(tmp_path):
    n = 1_000_000
    ids = np.random.default_rng(0).permutation(n)
    words = pa.array(ids).cast(pa.string())
    started = time.perf_counter()
    plan = gpumon.profile({"c": [str(i) for i in range(500)] * 4})
    counted = gpumon.profile(pa.table({"c": words}), like=plan)
    assert time.perf_counter() - started < 20
    state = counted.state("c")
    assert isinstance(state, Categorical)
    assert state.counts.tolist() == [1] * 500
    assert state.outside.sum() == n - 500
    assert len(state.names.values) == MOST_NAMES
    assert set(state.names.counts.tolist()) == {1}
    counted.save(tmp_path / "p.gpumon")
    assert (tmp_path / "p.gpumon").stat().st_size < 100_000
    text = gpumon.profile(pa.table({"c": words}))
    text.save(tmp_path / "q.gpumon")
    assert (tmp_path / "q.gpumon").stat().st_size < 100_000
    (distinct,) = gpumon.scan(counted, plan, metrics=["distinct_count"]).results.where(column="c")
    assert distinct.value == pytest.approx(n, rel=0.06)


def test_a_value_of_ten_kilobytes_keeps_the_profile_and_the_report_small(tmp_path):
    long = ["x" * 10_240 + str(i) for i in range(40)]
    report = gpumon.scan({"c": long * 5}, {"c": ["a", "b", *long] * 5})
    assert len(str(report)) < 5_000
    report.current.save(tmp_path / "p.gpumon")
    assert (tmp_path / "p.gpumon").stat().st_size < 50_000
    report.save(tmp_path / "r.json")
    assert (tmp_path / "r.json").stat().st_size < 100_000


def test_floats_at_both_ends_of_their_range_are_counted_each_in_its_bin():
    largest = np.finfo(np.float64).max
    values = np.array([largest, -largest, 1e308, -1e308, 5e-324, -5e-324, 0.0, np.inf, -np.inf] * 5)
    report = gpumon.scan({"a": values, "b": values[::-1]}, {"a": values, "b": values[::-1]})
    state = report.current.state("a")
    assert isinstance(state, Numeric)
    assert state.counts.sum() == 45
    assert set(state.counts.tolist()) == {0, 5}
    assert report.status == "ok"
    sound(report)


def test_messages_about_hostile_names_are_one_line_that_a_terminal_can_show(monkeypatch, capsys, attack):
    for name in ("a\nb", "\x1b[31m", "\u2028", "x" * 100):
        with pytest.raises(GpumonError) as caught:
            gpumon.scan({name: ["a", "b"]}, {name: [1, 2]})
        assert len(str(caught.value).splitlines()) == 1
        assert not unprintable(str(caught.value))


def test_output_that_is_not_unicode_does_not_stop_a_report(attack):
    ended = subprocess.run(
        [sys.executable, "-m", "gpumon", "scan", attack / "reference.parquet", attack / "<b>current.parquet", "--metrics", "psi"],
        check=False, capture_output=True, env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert ended.returncode == 2, ended.stderr
    assert b"columns drifted" in ended.stdout
    assert re.fullmatch(rb"[\x20-\x7e\n]*", ended.stdout)

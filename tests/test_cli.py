"""The command line: what it prints, what it writes, how it exits."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import gpumon
from gpumon import cli


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(0)

    def write(name: str, shift: float) -> None:
        n = 4000
        times = np.datetime64("2026-01-01T00:00:00") + np.arange(n).astype("timedelta64[m]")
        columns = {
            "x": rng.normal(shift, 1, n),
            "y": rng.normal(size=n),
            "c": rng.choice(["a", "b"], n),
            "t": times,
        }
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")

    write("reference", 0)
    write("same", 0)
    write("near", 0.15)
    write("far", 1)
    pq.write_table(pq.read_table(folder / "far.parquet").slice(0, 0), folder / "empty.parquet")
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    def invoke(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gpumon", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return invoke


@pytest.mark.parametrize(("current", "code"), [("same", 0), ("near", 1), ("far", 2), ("empty", 3)])
def test_the_exit_code_is_the_verdict(run, tables, current, code):
    found, out, err = run("scan", tables / "reference.parquet", tables / f"{current}.parquet")
    assert found == code
    assert err == ""
    assert "reference rows" in out


def test_a_scan_writes_what_is_asked_for_and_is_quiet_if_told(run, tables, tmp_path):
    files = {kind: tmp_path / f"report.{kind}" for kind in ("html", "json", "parquet", "csv")}
    options = [part for kind, path in files.items() for part in (f"--{kind}", path)]
    code, out, err = run("scan", tables / "reference.parquet", tables / "far.parquet", "--quiet", *options)
    assert (code, out, err) == (2, "", "")
    assert all(path.stat().st_size > 500 for path in files.values())
    code, out, _ = run("show", files["json"])
    assert code == 2
    assert "1 of 4 columns drifted (1 alert); x." in out


def test_windows_segments_and_metrics_are_options(run, tables, tmp_path):
    path = tmp_path / "r.json"
    code, _, _ = run(
        "scan", tables / "reference.parquet", tables / "far.parquet", "--columns", "x,c", "--timestamp", "t",
        "--every", "1d", "--by", "c", "--metrics", "psi,DD-03", "--thresholds", "conventional", "--json", path,
    )  # fmt: skip
    assert code == 2
    document = json.loads(path.read_text())
    rows = [dict(zip(document["fields"], row, strict=True)) for row in document["results"]]
    assert {row["metric"] for row in rows} == {"psi", "kolmogorov_smirnov"}
    assert {row["window"] for row in rows} == {None, "2026-01-01", "2026-01-02", "2026-01-03"}
    assert {row["segment"] for row in rows} == {None, "c=a", "c=b"}


def test_a_saved_profile_stands_wherever_a_table_may(run, tables, tmp_path):
    reference, current = tmp_path / "reference.gpumon", tmp_path / "current.gpumon"
    assert run("profile", tables / "reference.parquet", "-o", reference)[0] == 0
    assert run("profile", tables / "far.parquet", "-o", current, "--like", reference)[0] == 0
    outputs = [
        run("scan", *pair)[1]
        for pair in [
            (tables / "reference.parquet", tables / "far.parquet"),
            (reference, tables / "far.parquet"),
            (reference, current),
        ]
    ]
    assert outputs[0] == outputs[1] == outputs[2]
    code, out, _ = run("show", reference)
    assert code == 0
    assert "4,000 rows, 4 columns" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scan", "one"), "Missing argument 'CURRENT'"),
        (("scan", "no.parquet", "no.parquet"), "no.parquet"),
        (("nonsense",), "No such command 'nonsense'"),
        (("scan", "a", "b", "--role", "target"), "is no ROLE=COLUMN"),
        (("show", "no.gpumon"), "no.gpumon cannot be read"),
        (("metrics", "pzi"), "there is no metric 'pzi': did you mean 'psi'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_3(run, arguments, message):
    code, out, err = run(*arguments)
    assert code == 3
    assert out == ""
    assert message in err
    assert err.startswith("gpumon: ")
    assert err.count("\n") == 1


def test_the_catalogue_is_printed_with_definitions(run):
    code, out, _ = run("metrics")
    assert code == 0
    assert all(metric.name in out for metric in gpumon.CATALOGUE)
    code, out, _ = run("metrics", "psi")
    assert code == 0
    assert "DD-05  psi" in out
    assert "deciles of the reference" in out


def test_doctor_says_which_backend_and_why(run):
    code, out, _ = run("doctor")
    assert code == 0
    assert "backend" in out
    assert "kernels are cached in" in out


def test_what_runs_from_its_source_says_so(run, monkeypatch):
    """On a machine where only PYTHONPATH names it, no package of this name is installed."""

    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", absent)
    code, out, _ = run("doctor")
    assert code == 0
    assert "from source at" in out


def test_the_demo_finds_the_delays(run, tmp_path):
    code, out, _ = run("demo", "--html", tmp_path / "demo.html")
    assert code == 2
    assert "dep_delay" in out
    assert (tmp_path / "demo.html").stat().st_size > 50_000


def test_a_traceback_is_shown_only_if_asked_for(tables):
    command = [sys.executable, "-m", "gpumon", "scan", str(tables / "reference.parquet"), "no.parquet"]
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    told = subprocess.run([*command, "--verbose"], capture_output=True, text=True, check=False)
    assert plain.returncode == 3
    assert "Traceback" not in plain.stderr
    assert "Traceback" in told.stderr


def test_a_scan_of_files_imports_neither_pandas_nor_dask(tmp_path):
    rng = np.random.default_rng(0)
    when = np.datetime64("2025-01-01", "s") + np.arange(500) * 600
    table = pa.table(
        {
            "x": pa.array(rng.normal(size=500), mask=rng.random(500) < 0.1),
            "flag": pa.array(rng.random(500) < 0.5),
            "word": pa.array(rng.choice(["a", "b"], 500)).dictionary_encode(),
            "note": [f"note {i} about {i % 7}" * 9 for i in range(500)],
            "when": pa.array(when).cast(pa.timestamp("us", "UTC")),
            "amount": pa.array(rng.integers(0, 9, 500)).cast(pa.decimal128(30, 2)),
        }
    )
    path = tmp_path / "t.parquet"
    pq.write_table(table, path)
    heavy = {"dask", "distributed", "scipy.stats"}
    if int(pa.__version__.partition(".")[0]) >= 26:  # older ones import it on their own account
        heavy.add("pandas")
    code = (
        "import sys, gpumon\n"
        f"report = gpumon.scan({str(path)!r}, {str(path)!r}, timestamp='when', every='1d', by='word')\n"
        f"report.save({str(tmp_path / 'r.html')!r}), report.save({str(tmp_path / 'r.json')!r})\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_engines_and_bad_files_from_the_shell(run, tables, tmp_path):
    reference, far = tables / "reference.parquet", tables / "far.parquet"
    code, _, err = run("scan", reference, far, "--engine", "local", "--scheduler", "tcp://127.0.0.1:1")
    assert code == 3
    assert "leave --scheduler out" in err
    code, _, err = run("scan", reference, far, "--engine", "spark")
    assert code == 3
    assert "engine 'spark' is unknown" in err
    code, _, err = run("scan", reference, far, "--workers", "0")
    assert code == 3
    folder = tmp_path / "current"
    folder.mkdir()
    (folder / "far.parquet").write_bytes(far.read_bytes())
    (folder / "cut.parquet").write_bytes(far.read_bytes()[:-9])
    code, _, err = run("scan", reference, folder)
    assert code == 3
    assert "cut.parquet: the file is cut short" in err
    code, out, _ = run("scan", reference, folder, "--on-bad-file", "skip", "--json", tmp_path / "scan.json")
    assert code == 2  # an alert weighs more than an error
    assert "a file was skipped, rows unknown" in " ".join(out.split())
    (folder / "far.parquet").write_bytes((tables / "same.parquet").read_bytes())
    code, out, _ = run("scan", reference, folder, "--on-bad-file", "skip", "--resume", tmp_path / "kept")
    assert code == 3  # nothing moved, but not all was seen
    assert not (tmp_path / "kept").exists()


@pytest.fixture(scope="module")
def loans(tmp_path_factory) -> Path:
    from gpumon.demo import car_loans

    folder = tmp_path_factory.mktemp("loans")
    for name, table in zip(("reference", "current", "labels"), car_loans(), strict=True):
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


def test_evaluate_joins_late_labels_and_judges(run, loans, tmp_path):
    code, out, err = run(
        "evaluate", loans / "current.parquet", "--labels", loans / "labels.parquet", "--on", "id",
        "--reference", loans / "reference.parquet", "--target", "repaid", "--score", "y_pred_proba",
        "--prediction", "y_pred", "--timestamp", "timestamp", "--every", "3mo", "--by", "loan_length",
        "--columns", "car_value", "--json", tmp_path / "report.json", "--html", tmp_path / "report.html",
    )  # fmt: skip
    assert (code, err) == (2, "")
    assert "measures of the model changed for the worse" in out
    assert "car_value" in out
    assert "over time" in out
    assert "auc" in out
    document = json.loads((tmp_path / "report.json").read_text("utf-8"))
    rows = [dict(zip(document["fields"], row, strict=True)) for row in document["results"]]
    (auc,) = [r for r in rows if r["metric"] == "auc" and r["window"] == "2019-04-01" and not r["segment"]]
    assert auc["status"] == "alert"
    assert "Performance" in (tmp_path / "report.html").read_text("utf-8")


def test_evaluate_without_a_reference_tells_and_does_not_judge(run, loans):
    code, out, err = run(
        "evaluate", loans / "reference.parquet", "--target", "repaid", "--score", "y_pred_proba",
        "--metrics", "auc,accuracy",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "nothing to compare it with" in out
    assert "drifted" not in out
    assert "50,000 rows" in out
    assert "reference rows" not in out
    assert "0.971" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--target", "nothing", "--score", "y_pred_proba"], "has no column 'nothing'"),
        (["--score", "y_pred_proba"], "which column holds the labels is not clear"),
        (
            ["--target", "repaid", "--score", "a=x", "--score", "y"],
            "several scores are given as CLASS=COLUMN",
        ),
        (["--target", "repaid", "--score", "y_pred_proba", "--labels", "reference.parquet"], "go together"),
    ],
)
def test_evaluate_refuses_in_one_line(run, loans, arguments, words):
    code, out, err = run("evaluate", loans / "reference.parquet", *arguments)
    assert code == 3
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


def test_evaluate_takes_a_score_for_every_class(run, tmp_path):
    rng = np.random.default_rng(0)
    p = rng.dirichlet((1, 1, 1), 500)
    y = np.array(["a", "b", "c"])[p.argmax(axis=1)]
    pq.write_table(pa.table({"y": y, "pa": p[:, 0], "pb": p[:, 1], "pc": p[:, 2]}), tmp_path / "t.parquet")
    code, out, _ = run(
        "evaluate",
        tmp_path / "t.parquet",
        "--target",
        "y",
        "--score",
        "a=pa",
        "--score",
        "b=pb",
        "--score",
        "c=pc",
    )
    assert code == 0
    assert "auc y=a" in out


def test_evaluate_takes_intervals_and_features(run, tmp_path):
    rng = np.random.default_rng(0)
    for name, wide in (("before", 1.0), ("now", 0.6)):
        kind = rng.choice(["calm", "<wild>"], 3000)
        p, spread = rng.normal(10, 2, 3000), np.where(kind == "calm", 1.0, 3.0)
        y = p + rng.normal(0, spread)
        table = {"y": y, "p": p, "lo": p - 1.28 * spread * wide, "hi": p + 1.28 * spread * wide, "kind": kind}
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet")
    named = ["--target", "y", "--prediction", "p", "--lower", "lo", "--upper", "hi"]
    code, out, err = run(
        "evaluate", tmp_path / "now.parquet", "--reference", tmp_path / "before.parquet", *named,
        "--nominal", "0.8", "--features", "kind", "--html", tmp_path / "report.html",
    )  # fmt: skip
    assert (code, err) == (2, "")
    for words in ("interval_coverage", "0.8", "estimated_mae", "conformal_coverage"):
        assert words in out
    assert "estimated mae" in (tmp_path / "report.html").read_text("utf-8")
    roles = [
        f"--role={role}={column}"
        for role, column in (("target", "y"), ("prediction", "p"), ("lower", "lo"), ("upper", "hi"))
    ]
    code, _, err = run(
        "profile", tmp_path / "before.parquet", "-o", tmp_path / "before.gpumon", *roles,
        "--nominal", "0.8", "--features", "kind",
    )  # fmt: skip
    assert (code, err) == (0, "")
    code, out, err = run(
        "evaluate", tmp_path / "now.parquet", "--reference", tmp_path / "before.gpumon",
        "--metrics", "interval_coverage,estimated_rmse",
    )  # fmt: skip
    assert (code, err) == (2, "")
    assert "interval_coverage is down from 0.8" in " ".join(out.split())


def test_profile_says_that_scores_of_unnamed_classes_are_only_described(run, tmp_path):
    rng = np.random.default_rng(1)
    p = rng.dirichlet([1.0, 1.0, 1.0], 400)
    rows = {"y": np.array(["a", "b", "c"])[rng.integers(0, 3, 400)]} | {
        f"p_{c}": p[:, i] for i, c in enumerate("abc")
    }
    pq.write_table(pa.table(rows), tmp_path / "three.parquet")
    saved = tmp_path / "three.gpumon"
    made = ["profile", tmp_path / "three.parquet", "-o", saved, "--role", "target=y"]
    code, out, _ = run(*made, "--role", "score=p_a,p_b,p_c")
    assert code == 0
    assert "note: " in out
    assert "only described: say of which class each is" in out
    code, _, err = run("evaluate", saved)
    assert code == 3
    assert "a score for which classes are named" in err
    assert run(*made, "--role", "score=p_", "--quiet")[:2] == (0, "")
    assert run("evaluate", saved, "--score", "p_")[0] == 0

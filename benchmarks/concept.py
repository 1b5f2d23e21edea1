"""How late and how falsely the detectors of concept drift alarm, next to river's: ``results/concept-MACHINE.json``.

    python benchmarks/concept.py --machine 2-core
    python benchmarks/concept.py --electricity electricity.parquet    # and on the stream of the electricity market

On streams whose change point is known: the error of a model that was right before (Bernoulli, Gaussian loss), and the
labelled streams SEA (the threshold of two features moves) and a rotating hyperplane, seen by a logistic model fitted
to the first 2,000 rows. A detector's first alarm after the change gives its delay [rows], alarms before it or on
streams without a change are false [per 10,000 rows]; a change that is not found before the end is missed. Each
detector of gpumon reads single values, and micro-batches of 50 rows; the single values are read by river's, and it is
counted on how many streams the alarms are the same, index by index. The electricity market has no known change points:
only the agreement and the numbers of alarms are given. Needs river and scikit-learn (``pip install --group dev``).
"""

from __future__ import annotations

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from river import drift
from sklearn.linear_model import LogisticRegression, SGDClassifier

from drift import HERE, surroundings
from gpumon.statistics import detectors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LENGTH, CHANGE, BATCH, LEARNT = 10_000, 5_020, 50, 2_000  # the change falls within a batch
DETECTORS: dict[str, tuple[Callable[..., detectors.Detections], Callable[[], Any]]] = {
    "adwin": (detectors.adwin, drift.ADWIN),
    "page_hinkley": (detectors.page_hinkley, drift.PageHinkley),
    "ddm": (detectors.ddm, drift.binary.DDM),
}


def bernoulli(rng: np.random.Generator, before: float, after: float) -> NDArray[np.float64]:
    rate = np.where(np.arange(LENGTH) < CHANGE, before, after)
    return (rng.random(LENGTH) < rate).astype(float)


def gaussian(rng: np.random.Generator, before: float, after: float) -> NDArray[np.float64]:
    return rng.normal(np.where(np.arange(LENGTH) < CHANGE, before, after), 1.0)


def errors_of_model(
    rng: np.random.Generator, concept: Callable[..., Any], changes: bool
) -> NDArray[np.float64]:
    """0/1 errors of a model that learnt the first concept, on rows after those it learnt from."""
    x, label = concept(rng, LEARNT + LENGTH, LEARNT + CHANGE if changes else LEARNT + LENGTH)
    model = LogisticRegression().fit(x[:LEARNT], label[:LEARNT])
    return (model.predict(x[LEARNT:]) != label[LEARNT:]).astype(float)


def sea(rng: np.random.Generator, rows: int, change: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Street & Kim (2001): x1 + x2 ≤ 8, then ≤ 9.5; ten per cent of the labels flipped."""
    x = rng.uniform(0, 10, (rows, 3))
    label = x[:, 0] + x[:, 1] <= np.where(np.arange(rows) < change, 8.0, 9.5)
    return x, label ^ (rng.random(rows) < 0.1)


def hyperplane(
    rng: np.random.Generator, rows: int, change: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Hulten et al. (2001): from ``change`` on the plane rotates, by 90° over 2,500 rows; five per cent flipped."""
    x = rng.normal(size=(rows, 10))
    first, second = np.zeros(10), np.zeros(10)
    first[:5], second[5:] = 1.0, 1.0
    angle = np.clip((np.arange(rows) - change) / 2_500, 0, 1) * np.pi / 2
    score = np.cos(angle) * (x @ first) + np.sin(angle) * (x @ second)
    return x, (score > 0) ^ (rng.random(rows) < 0.05)


STREAMS: dict[str, Callable[[np.random.Generator], NDArray[np.float64]]] = {
    "errors 10 % → 20 %": lambda rng: bernoulli(rng, 0.1, 0.2),
    "errors 10 % → 13 %": lambda rng: bernoulli(rng, 0.1, 0.13),
    "errors 10 %": lambda rng: bernoulli(rng, 0.1, 0.1),
    "errors 30 % → 20 %": lambda rng: bernoulli(rng, 0.3, 0.2),
    "loss 0 → 0.5 σ": lambda rng: gaussian(rng, 0.0, 0.5),
    "loss 0": lambda rng: gaussian(rng, 0.0, 0.0),
    "SEA, moved threshold": lambda rng: errors_of_model(rng, sea, True),
    "SEA": lambda rng: errors_of_model(rng, sea, False),
    "rotating hyperplane": lambda rng: errors_of_model(rng, hyperplane, True),
    "hyperplane": lambda rng: errors_of_model(rng, hyperplane, False),
}


def of_river(detector: Any, values: NDArray[np.float64], binary: bool) -> list[int]:
    at = []
    for index, value in enumerate(values.astype(int).tolist() if binary else values.tolist()):
        detector.update(value)
        if detector.drift_detected:
            at.append(index)
    return at


def batched(values: NDArray[np.float64], rows: int) -> dict[str, Any]:
    """Means of batches, their rows, and the squares within; what is left at the end is a batch of its own."""
    parts = np.array_split(values, np.arange(rows, len(values), rows))
    return {
        "values": np.array([np.mean(part) for part in parts]),
        "rows": np.array([len(part) for part in parts]),
        "within": np.array([np.sum((part - np.mean(part)) ** 2) for part in parts]),
    }


def alarms_of(name: str, values: NDArray[np.float64]) -> dict[str, tuple[list[int], list[int]]]:
    """Alarms, and the rows since which they say it is so, by reader."""
    ours, theirs = DETECTORS[name]
    single = ours(values)
    parts = batched(values, BATCH)
    within = {"within": parts["within"]} if name == "adwin" else {}
    batches = ours(parts["values"], rows=parts["rows"], **within)
    return {
        "gpumon": (single.at.tolist(), single.since.tolist()),
        "gpumon, batches of 50": (
            [int(min((index + 1) * BATCH, len(values))) - 1 for index in batches.at],
            (batches.since * BATCH).tolist(),
        ),
        "river": (of_river(theirs(), values, name == "ddm"), []),
    }


def judged(found: list[tuple[list[int], list[int]]], changes: bool) -> dict[str, Any]:
    """Delay, misses, false alarms and the error of the estimated change point over many streams."""
    delays, false, start_errors = [], 0, []
    for at, since in found:
        false += sum(index < CHANGE for index in at) if changes else len(at)
        late = [place for place, index in enumerate(at) if index >= CHANGE]
        if changes and late:
            delays.append(at[late[0]] - CHANGE)
            if since:
                start_errors.append(abs(since[late[0]] - CHANGE))
    rows = len(found) * (CHANGE if changes else LENGTH)
    result: dict[str, Any] = {"false_alarms_per_10000_rows": 10_000 * false / rows}
    if changes:
        result["missed"] = 1 - len(delays) / len(found)
        result["median_delay"] = float(np.median(delays)) if delays else None
        result["median_error_of_since"] = float(np.median(start_errors)) if start_errors else None
    return result


def synthetic(repeats: int) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for number, (label, make) in enumerate(STREAMS.items()):
        streams = [make(np.random.default_rng([number, repeat])) for repeat in range(repeats)]
        changes = "→" in label or "moved" in label or "rotating" in label
        for name in DETECTORS:
            if name == "ddm" and label.startswith("loss"):
                continue  # it counts errors
            found = [alarms_of(name, values) for values in streams]
            results.setdefault(label, {})[name] = {
                reader: judged([one[reader] for one in found], changes) for reader in found[0]
            } | {"same_alarms_as_river": sum(one["gpumon"][0] == one["river"][0] for one in found) / repeats}
    return results


def electricity(file: Path) -> dict[str, Any]:
    """Errors of a model that learns on, row after row, asked about each day before it learns it."""
    import pandas as pd

    table = pd.read_parquet(file)
    label = table["class"].astype(str).to_numpy() == str(table["class"].iloc[0])
    x = table.drop(columns=["class", "order"]).select_dtypes("number").to_numpy(np.float64)
    model = SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.1, random_state=0)
    day = 48
    model.partial_fit(x[:day], label[:day], classes=[False, True])
    errors = []
    for start in range(day, len(x), day):
        part = slice(start, start + day)
        errors.append(model.predict(x[part]) != label[part])
        model.partial_fit(x[part], label[part])
    stream = np.concatenate(errors).astype(float)
    result: dict[str, Any] = {"rows": len(stream), "error_rate": float(np.mean(stream))}
    for name in DETECTORS:
        found = alarms_of(name, stream)
        result[name] = {reader: len(at) for reader, (at, _) in found.items()} | {
            "same_alarms_as_river": found["gpumon"][0] == found["river"][0]
        }
    return result


def seconds(rows: int = 20_000) -> dict[str, Any]:
    """Time to read 0/1 errors one by one, least of three."""
    values = (np.random.default_rng(0).random(rows) < 0.1).astype(float)
    result = {}
    for name, (ours, theirs) in DETECTORS.items():
        taken: dict[str, list[float]] = {"gpumon": [], "river": []}
        for _ in range(3):
            start = time.perf_counter()
            ours(values)
            taken["gpumon"].append(time.perf_counter() - start)
            start = time.perf_counter()
            of_river(theirs(), values, name == "ddm")
            taken["river"].append(time.perf_counter() - start)
        result[name] = {reader: min(each) for reader, each in taken.items()} | {"rows": rows}
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--machine", default="2-core", help="names the result file (default: 2-core)")
    parser.add_argument("--repeats", type=int, default=50, help="streams of each kind (default: 50)")
    parser.add_argument(
        "--electricity", type=Path, help="the Parquet file of the electricity market, in order"
    )
    options = parser.parse_args()
    result = surroundings(options.machine)
    result["versions"]["river"] = version("river")
    result |= {"repeats": options.repeats, "length": LENGTH, "change": CHANGE, "seconds": seconds()}
    result["streams"] = synthetic(options.repeats)
    if options.electricity is not None:
        result["electricity"] = electricity(options.electricity)
    print(
        "| stream | detector | reader | median delay | missed | false in 10,000 | error of since | as river |"
    )
    print("|---|---|---|--:|--:|--:|--:|--:|")
    for label, detectors in result["streams"].items():
        for name, readers in detectors.items():
            for reader, row in readers.items():
                if reader != "same_alarms_as_river":
                    cells = (
                        row.get("median_delay"),
                        row.get("missed"),
                        row["false_alarms_per_10000_rows"],
                        row.get("median_error_of_since"),
                        readers["same_alarms_as_river"] if reader == "gpumon" else None,
                    )
                    shown = " | ".join("" if cell is None else f"{cell:.4g}" for cell in cells)
                    print(f"| {label} | {name} | {reader} | {shown} |")
    print(json.dumps({key: result[key] for key in ("seconds", "electricity") if key in result}))
    file = HERE / "results" / f"concept-{options.machine}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nwritten: {file}")

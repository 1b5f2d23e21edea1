"""Report payloads of any size, in the shape that `gpumon.reports.html.render` documents, from seeded numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr

HOSTILE = [
    "<script>window.pwned = 1</script>",
    "</script><script>window.pwned = 2</script>",
    "<img src=x onerror='window.pwned = 3'>",
    '"><svg onload="window.pwned = 4">',
    "' onmouseover='window.pwned = 5",
    "</style><script>window.pwned = 6</script>",
    "</title></noscript><script>window.pwned = 7</script>",
    "<!--<script>",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "javascript:window.pwned=8",
    "nul\x00bell\x07escape\x1b[31m",
    "invoice\u202egnp.exe",
    "line\u2028paragraph\u2029end",
    "lone\ud800surrogate",
    "عمود البيانات",
    "名前 😀 e\u0301",
    "long " * 2000,
    "W" * 10_000,
    "__proto__",
    "",
]
AIRLINES = ["UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E", "WN", "VX", "FL", "AS", "F9", "YV"]
FLIGHTS = [
    "dep_delay", "arr_delay", "carrier", "air_time", "sched_dep_time", "distance", "temp", "dewp", "humid", "wind_dir",
    "wind_speed", "wind_gust", "precip", "pressure", "visib", "origin", "dest", "seats", "engines", "year_built", "hour",
    "minute", "prediction", "score",
]  # fmt: skip


def payload(
    columns: int = 24, windows: int = 8, segments: int = 3, *, hostile: bool = False, seed: int = 0
) -> dict[str, Any]:
    """A report of `columns` columns; `hostile` puts markup, NUL and worse wherever a text can stand."""
    rng = np.random.default_rng(seed)
    names = [(FLIGHTS[i] if i < len(FLIGHTS) else f"feature_{i:04d}") for i in range(columns)]
    if hostile:
        names = [HOSTILE[i % len(HOSTILE)] + (str(i) if i >= len(HOSTILE) else "") for i in range(columns)]
    scores = np.sort(0.14 * np.exp(-5 * np.arange(columns) / columns + rng.normal(0, 0.2, columns)))[::-1]
    parts = [
        _column(rng, name, float(score), i, hostile)
        for i, (name, score) in enumerate(zip(names, scores, strict=True))
    ]
    tally = {
        status: sum(c["status"] == status for c in parts)
        for status in ("alert", "warn", "ok", "no_data", "error")
    }
    evil = HOSTILE[1] if hostile else ""
    return {
        "title": "Drift scan" + evil,
        "status": "alert",
        "sentence": f"{tally['alert']} of {columns} columns drifted; {names[0][:200] if names else 'none'} most."
        + evil,
        "summary": {"columns": columns, **tally, "rows_reference": 51955, "rows_current": 57668},
        "facts": [
            ["Reference", "flights.parquet, January–February" + evil],
            ["Current", "flights.parquet, June–July"],
            ["Backend", "cpu: no CUDA device answers"],
            ["Thresholds", "a false alarm in 20 scans, calibrated on the reference's own weeks"],
            ["Time", "0.41 s for 109,623 rows × 24 columns"],
        ],
        "notes": ["column payload was skipped: nested type list<item: int64>" + evil],
        "columns": parts,
        "over_time": {
            "early": [
                {
                    "name": "score" + evil,
                    "value": 0.03,
                    "threshold": 0.04,
                    "status": "warn",
                    "reason": "strays" + evil,
                }
            ],
            "rolled": [
                {
                    "name": "psi",
                    "columns": columns,
                    "largest": names[0] if names else evil,
                    "max": 0.3,
                    "mean": 0.1,
                    "warn": 0.5,
                    "alert": 0.25,
                    "significant": 0.75,
                }
            ],
        },
        "metric": "jensen_shannon",
        "windows": _windows(rng, names, scores, [f"2013-06-{d + 1:02d}" for d in range(windows)])
        if windows
        else None,
        "segments": _windows(rng, names, scores, _segments(segments, evil)) if segments else None,
        "correlations": _correlations(rng, names[: min(columns, 60)]) if columns > 1 else None,
    }


def _segments(count: int, evil: str) -> list[str]:
    return [name + evil for name in ("origin=EWR", "origin=JFK", "origin=LGA")][:count]


def _status(score: float) -> str:
    return "alert" if score > 0.06 else "warn" if score > 0.03 else "ok"


def _column(rng: np.random.Generator, name: str, score: float, i: int, hostile: bool) -> dict[str, Any]:
    status = "no_data" if i == 17 else "error" if i == 19 else _status(score)
    missing = [float(rng.uniform(0, 0.03)), float(rng.uniform(0, 0.05))] if i % 3 == 0 else [0.0, 0.0]
    empty = dict.fromkeys(("histogram", "ecdf", "categories"))
    shape = (
        empty
        if status in {"no_data", "error"}
        else _categories(rng, score, hostile)
        if i % 5 == 2
        else _numbers(rng, score, i)
    )
    return {
        "name": name,
        "kind": "categorical" if i % 5 == 2 else "numeric",
        "role": "prediction" if name in {"prediction", "score"} else "feature",
        "status": status,
        "score": None if status in {"no_data", "error"} else score,
        "reason": {
            "alert": "moved up by 0.31 std; 12 % of rows are now above the reference's 99th percentile",
            "warn": "a small move beyond its threshold, in 3 of 8 windows",
            "ok": "within its threshold",
            "no_data": "no rows in the current data",
            "error": "the column changed its type from double to string",
        }[status]
        + (HOSTILE[2] if hostile else ""),
        "missing": missing,
        "other": [0.01, 0.012],
        "new": [],
        "vanished": [],
        **shape,
        "metrics": _metrics(rng, score, status),
    }  # fmt: skip


def _numbers(rng: np.random.Generator, score: float, i: int) -> dict[str, Any]:
    """A mixture of two normals, moved by an amount that goes with the score."""
    centre, scale = (
        (1_371_200_000.0, 5e5) if i == 6 else (float(rng.normal(0, 50)), float(np.exp(rng.normal(2, 1.5))))
    )
    second, weight, move = rng.uniform(1, 4), rng.uniform(0, 0.4), 3 * score

    def distribution(x: np.ndarray, shift: float) -> np.ndarray:
        z = (x - centre) / scale - shift
        return (1 - weight) * ndtr(z) + weight * ndtr((z - second) / 0.7)

    edges = np.linspace(centre - 2.2 * scale, centre + 5 * scale, 41)
    x = np.linspace(centre - 3.5 * scale, centre + 7 * scale, 64)
    r, c = distribution(edges, 0.0), distribution(edges, move)
    return {
        "histogram": {
            "edges": edges.tolist(),
            "reference": np.diff(r).tolist(),
            "current": np.diff(c).tolist(),
            "below": [float(r[0]), float(c[0])],
            "above": [float(1 - r[-1]), float(1 - c[-1])],
        },
        "ecdf": {
            "x": x.tolist(),
            "reference": distribution(x, 0.0).tolist(),
            "current": distribution(x, move).tolist(),
        },
        "categories": None,
    }


def _categories(rng: np.random.Generator, score: float, hostile: bool) -> dict[str, Any]:
    names = HOSTILE[:14] if hostile else AIRLINES
    reference = np.sort(rng.dirichlet(np.full(len(names), 0.7)))[::-1] * 0.98
    current = reference * np.exp(rng.normal(0, 4 * score, len(names)))
    reference[-1], current[-2] = 0.0, 0.0
    current *= 0.97 / current.sum()
    return {
        "histogram": None,
        "ecdf": None,
        "categories": [list(row) for row in zip(names, reference.tolist(), current.tolist(), strict=True)],
        "new": [[names[-1], 32], *([name, 1] for name in ("HA", "OO"))],
        "vanished": [names[-2]],
    }


def _metrics(rng: np.random.Generator, score: float, status: str) -> list[list[Any]]:
    names = [
        "jensen_shannon", "psi", "kolmogorov_smirnov", "wasserstein", "hellinger", "total_variation", "chi_square",
        "mean", "std", "minimum", "maximum", "median", "q99", "missing", "distinct", "mean_shift",
    ]  # fmt: skip
    known = status not in {"no_data", "error"}
    return [
        [
            name,
            score * float(rng.uniform(0.5, 2)) if known else None,
            score * 0.5 if known and name in {"kolmogorov_smirnov", "wasserstein"} else None,
            score * 2.0 if known and name in {"kolmogorov_smirnov", "wasserstein"} else None,
            "std" if name in {"wasserstein", "mean_shift"} else "1",
            float(rng.normal()) if name in {"mean", "std", "median"} else None,
            float(rng.uniform() ** 20) if known else None,
            float(rng.uniform() ** 10) if known else None,
            0.06 if name in {"jensen_shannon", "hellinger"} else None,
            status if name == "jensen_shannon" or not known else "ok",
            "deciles of the reference, missing as its own bin" if name == "psi" else "counts on 1,024 edges",
        ]
        for name in names
    ]


def _windows(
    rng: np.random.Generator, names: list[str], scores: np.ndarray, labels: list[str]
) -> dict[str, Any]:
    noise = np.exp(rng.normal(0, 0.5, (len(names), len(labels))))
    ramp = np.linspace(0.3, 1.6, max(len(labels), 1))[: len(labels)]
    values = scores[:, None] * noise * ramp
    table: list[list[float | None]] = values.tolist()
    statuses = [[_status(v) for v in row] for row in values]
    if len(names) > 4 and len(labels) > 2:
        table[4][1], statuses[4][1] = None, "no_data"
        table[3][2], statuses[3][2] = None, "error"
    rows = rng.integers(900, 1900, len(labels)).tolist()
    return {
        "labels": labels,
        "columns": names,
        "values": table,
        "status": statuses,
        "rows": rows,
        "limits": [0.06] * len(names),
        "others": [
            {
                "metric": metric,
                "values": [[None if v is None else v**power for v in row] for row in table],
                "status": statuses,
                "limits": [0.06**power] * len(names),
            }
            for metric, power in (("psi", 1.9), ("kolmogorov_smirnov", 1.1), ("hellinger", 1.01))
        ],
    }


def _correlations(rng: np.random.Generator, names: list[str]) -> dict[str, Any]:
    n = len(names)
    factors = rng.normal(size=(n, max(3, n // 4)))
    reference = np.corrcoef(factors @ factors.T + n / 4 * np.eye(n))
    moved = reference.copy()
    for a, b in rng.integers(0, n, (max(3, n // 3), 2)):
        if a != b:
            moved[a, b] = moved[b, a] = float(np.clip(reference[a, b] + rng.normal(0, 0.25), -1, 1))
    noise = rng.normal(0, 0.008, (n, n))
    moved = np.clip(moved + (noise + noise.T) * (1 - np.eye(n)), -1, 1)
    return {"columns": names, "method": "pearson", "reference": reference.tolist(), "current": moved.tolist()}

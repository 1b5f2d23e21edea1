"""The JSON report is what its schema says."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

import gpumon
from gpumon.demo import flights_of
from gpumon.metrics.results import FIELDS, STATUSES


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json.loads((files("gpumon") / "reports" / "report.schema.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path: Path = tmp_path_factory.mktemp("report") / "scan.json"
    columns = ["dep_delay", "distance", "carrier"]
    gpumon.scan(
        flights_of(6), flights_of(1, 2), columns=columns, timestamp="time_hour", every="1w", by="origin"
    ).save(path)
    return json.loads(path.read_text("utf-8"))


def test_the_schema_is_a_schema(schema: dict[str, Any]):
    Draft202012Validator.check_schema(schema)


def test_a_report_is_what_the_schema_says(schema: dict[str, Any], document: dict[str, Any]):
    Draft202012Validator(schema).validate(document)
    assert len(document["results"]) > 100


def test_a_report_on_odd_numbers_too(schema: dict[str, Any], tmp_path: Path):
    odd = {"x": [float("inf"), float("-inf"), None, 1.0], "y": [None] * 4, "<b>": ["a", "b", None, "é"]}
    gpumon.scan(odd, odd).save(tmp_path / "odd.json")
    Draft202012Validator(schema).validate(json.loads((tmp_path / "odd.json").read_text("utf-8")))


def test_the_schema_names_the_fields_and_the_statuses_of_the_code(schema: dict[str, Any]):
    assert tuple(schema["properties"]["fields"]["const"]) == FIELDS
    rows = schema["properties"]["results"]["items"]
    assert tuple(item["title"] for item in rows["prefixItems"]) == FIELDS
    assert rows["minItems"] == rows["maxItems"] == len(FIELDS)
    assert tuple(schema["$defs"]["status"]["enum"]) == STATUSES


@pytest.mark.parametrize(
    ("key", "value"), [("status", "fine"), ("format", 2), ("columns", [{"column": 1}]), ("results", [[1, 2]])]
)
def test_the_schema_refuses_what_is_no_report(
    schema: dict[str, Any], document: dict[str, Any], key: str, value: Any
):
    wrong = copy.deepcopy({**document, "results": document["results"][:1], key: value})
    with pytest.raises(ValidationError):
        Draft202012Validator(schema).validate(wrong)

"""Evidently's DataDriftPreset with its own defaults, on pandas frames with the kinds of the columns stated."""

import os

os.environ["DO_NOT_TRACK"] = "1"

from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from stopwatch import clock_tables, numeric_names, shown, string_names


def prepare(reference, current):
    definition = DataDefinition(
        numerical_columns=numeric_names(reference), categorical_columns=string_names(reference)
    )
    return [
        Dataset.from_pandas(table.to_pandas(), data_definition=definition) for table in (current, reference)
    ]


def work(datasets):
    return Report([DataDriftPreset()]).run(*datasets).dict()


def values(report):
    found = {}
    for metric in report["metrics"]:
        config = metric["config"]
        if "column" in config:
            found.setdefault(config["method"], {})[config["column"]] = metric["value"]
    return {method: kept for method, columns in found.items() if (kept := shown(columns))}


if __name__ == "__main__":
    clock_tables(
        "Evidently DataDriftPreset", ("evidently", "pandas", "numpy", "scipy"), prepare, work, values
    )

"""Rows in: any table as a schema, partitions to count, and rows to sample. Knows no kernel, state or metric."""

from gpumon.tables.frames import open_table
from gpumon.tables.schema import Column, Differences, Kind, Role, Schema, compatible, infer
from gpumon.tables.slices import Slicing
from gpumon.tables.table import BATCH_ROWS, SAMPLE_ROWS, Partition, Table

__all__ = [
    "BATCH_ROWS",
    "SAMPLE_ROWS",
    "Column",
    "Differences",
    "Kind",
    "Partition",
    "Role",
    "Schema",
    "Slicing",
    "Table",
    "compatible",
    "infer",
    "open_table",
]

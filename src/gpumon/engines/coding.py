"""From columns to the numbers of classes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from gpumon.engines.columns import numbers, numbers_in, packed, string_parts, strings
from gpumon.kernels.lookup import Dictionary, dictionary
from gpumon.tables.columns import validity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.kernels import Kernels

__all__ = ["Coder", "number_of"]


@dataclass(frozen=True)
class Coder:
    """From a column to class numbers: 0 … K − 1, K for any other value, K + 1 where missing."""

    classes: tuple[str, ...]
    kernels: Kernels

    def __call__(self, array: pa.Array) -> NDArray[np.int32]:
        """The class numbers of a column."""
        if isinstance(array, pa.DictionaryArray):
            of_values = self(array.dictionary)
            codes, valid = numbers(array.indices)
            codes = codes.astype(np.int64) if valid is None else np.where(valid, codes, len(of_values))
            entries = np.append(of_values, np.int32(len(self.classes) + 1))
            return np.asarray(entries[codes], np.int32)
        if pa.types.is_boolean(array.type):
            array = array.cast(pa.uint8())
        if pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
            return self.of_numbers(*numbers(array))
        data, ends = string_parts(strings(array))
        places = self.kernels.find_strings(
            data, ends, self.kernels.hash_strings(data, ends), self._dictionary
        )
        places[places < 0] = len(self.classes)
        there = validity(array)
        if there is not None:
            places[~there] = len(self.classes) + 1
        return places

    def of_column(self, batch: pa.RecordBatch, name: str) -> NDArray[np.int32]:
        """The class numbers of a column of a batch: numbers are read where they are."""
        kind = batch.schema.field(name).type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return self.of_numbers(*numbers_in(batch, name, device=self.kernels.DEVICE))
        return self(batch.column(name))

    def of_numbers(self, values: Any, valid: Any) -> NDArray[np.int32]:
        """As for a column, from values and validity as :meth:`gpumon.kernels.Kernels.classes` takes them."""
        known, order = self._numbers
        found = self.kernels.classes(values, valid, known)
        return found if order is None else order[found]

    @cached_property
    def _numbers(self) -> tuple[NDArray[np.float64], NDArray[np.int32] | None]:
        """The classes as increasing numbers, and the class of each of these (None: they are in order)."""
        values = np.full(len(self.classes), np.nan)
        for i, text in enumerate(self.classes):
            try:
                values[i] = number_of(text)
            except ValueError:
                continue
        order = np.argsort(values, kind="stable").astype(np.int32)
        after = np.array([len(self.classes), len(self.classes) + 1], np.int32)
        return values[order], None if (np.diff(order) > 0).all() else np.concatenate((order, after))

    @cached_property
    def _dictionary(self) -> Dictionary:
        data, ends = packed(self.classes)
        return dictionary(data, ends, self.kernels.hash_strings(data, ends))


def number_of(text: str) -> float:
    """A class as a number, true as 1; ValueError if it is none."""
    return {"false": 0.0, "true": 1.0}[text] if text in {"false", "true"} else float(text)

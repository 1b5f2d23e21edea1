"""Everything gpumon raises on purpose.

    GpumonError
    ├── InputError          a table, file or column that cannot be used as it is
    │   └── SchemaError     a column that is absent, doubled, or has changed its type
    ├── OptionError         an argument or option that makes no sense
    ├── ProfileError        a saved profile that is damaged, or newer than this gpumon
    ├── MergeError          two states that were counted on different plans
    ├── BackendError        a device or package that was asked for and does not answer
    └── EngineError         a cluster that cannot be reached, or that went away while it counted

Each message is one line: what is wrong, where, and how to mend it. The command line prints it and exits with 3.
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "EngineError",
    "GpumonError",
    "InputError",
    "MergeError",
    "OptionError",
    "ProfileError",
    "SchemaError",
]


class GpumonError(Exception):
    """The one family of errors: ``except gpumon.GpumonError`` catches all that is gpumon's own."""


class InputError(GpumonError):
    """A table, file or column that cannot be used as it is."""


class SchemaError(InputError):
    """A column that is absent, doubled, or has changed its type."""


class OptionError(GpumonError, ValueError):
    """An argument or option that makes no sense."""


class ProfileError(GpumonError):
    """A saved profile that is damaged, or newer than this gpumon."""


class MergeError(GpumonError, ValueError):
    """Two states that were counted on different plans (edges, vocabulary) and so do not add."""


class BackendError(GpumonError, RuntimeError):
    """A device or package that was asked for and does not answer."""


class EngineError(GpumonError, RuntimeError):
    """A cluster that cannot be reached, or that went away while it counted."""

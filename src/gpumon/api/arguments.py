"""What users pass: refused in one line where it cannot be right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gpumon.errors import OptionError

__all__ = ["by_role", "expect", "is_profile", "names_of", "sliced_by"]


def is_profile(source: Any) -> bool:
    """Whether a path names a saved profile."""
    return (isinstance(source, str) and source.endswith(".gpumon")) or getattr(
        source, "suffix", ""
    ) == ".gpumon"


def expect(value: Any, kind: Any, message: str) -> None:
    """Raise an OptionError with this message if a value is of another kind."""
    if not isinstance(value, kind):
        raise OptionError(message)


def names_of(what: str, names: Any) -> list[str]:
    """One name or several as a list, each once."""
    names = [names] if isinstance(names, str) else names
    expect(names, Iterable, f"{what} must be the name of a column or a list of names, not {names!r}")
    names = list(names)
    for name in names:
        expect(name, str, f"{what} must be the name of a column or a list of names, not {name!r}")
    return list(dict.fromkeys(names))


def by_role(roles: Any) -> dict[str, list[str]]:
    """{role: names} of what may have one name for a role, or be None."""
    expect(roles, Mapping | None, f"roles must be a mapping such as {{'target': 'y'}}, not {roles!r}")
    return {role: names_of(f"the role {role!r}", names) for role, names in (roles or {}).items()}


def sliced_by(slices: Any) -> bool | list[str]:
    """The columns that make slices; True for all, none for False or None."""
    return True if slices is True else names_of("slices", slices or ())

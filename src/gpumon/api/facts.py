"""How a report was made, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpumon.profiles.profile import Profile

__all__ = ["backend_of", "described", "gpumon_version", "worked"]


def described(counted: Profile) -> str:
    """A table's name and its rows."""
    rows = int(counted.state("", "rows").rows)  # type: ignore[attr-defined]
    return f"{counted.facts.get('name', 'a profile')}, {rows:,} rows"


def backend_of(before: Profile, now: Profile) -> str:
    """Which kernels counted, and why; each table's if they differ."""
    told = [
        f"{counted.facts.get('backend', 'cpu')}: {counted.facts.get('why', 'counted before')}"
        for counted in (before, now)
    ]
    return told[1] if told[0] == told[1] else f"{told[1]}; the reference on {told[0]}"


def worked(*counted: Profile) -> dict[str, str]:
    """Who counted, and how many bytes."""
    facts = [each.facts["work"] for each in counted if "work" in each.facts]
    if not facts:
        return {}
    read = sum(each["nbytes"] for each in facts)
    busy = sum(each["task_seconds"] for each in facts)
    return {
        "Engine": f"{facts[-1]['engine']}; {read / 1e9:,.2f} GB decoded and counted in {busy:,.2f} task seconds"
    }


def gpumon_version() -> str:
    """The version of this package, or that it runs from its source without having been installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gpumon")
    except PackageNotFoundError:
        return "from source"

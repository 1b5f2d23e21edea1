"""Tuning: what a replay of thresholds found, shown and saved."""

from __future__ import annotations

import math
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpumon.errors import OptionError
from gpumon.verdicts.replay import METHODS, Setting, order

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from rich.console import Console

    from gpumon.profiles.profile import Profile
    from gpumon.verdicts.replay import Replay

__all__ = ["FORMATS", "Tuning"]

FORMATS = (".yaml", ".yml", ".json", ".csv")


class Tuning:
    """Thresholds that fit a budget of alerts, and every setting that was tried.

    ``scan(..., thresholds=tuning.thresholds)`` alerts by them; ``print(tuning)`` tells what was chosen and why,
    ``to_pandas()`` is the table of all settings, and ``save("thresholds.yaml")`` writes a file that ``thresholds=`` and
    ``gpumon scan --thresholds`` take.
    """

    def __init__(
        self,
        found: Replay,
        budget: float,
        reference: Profile,
        facts: Mapping[str, Any],
        notes: tuple[str, ...] = (),
    ) -> None:
        self.settings: tuple[Setting, ...] = found.settings
        """Every setting that was tried: metric, method, setting, consecutive, alerts, alerts a week, …"""
        self.thresholds: dict[str, list[dict[str, Any]]] = {
            metric: [rule.as_mapping() for rule in rules] for metric, rules in found.rules.items()
        }
        """The rules of the chosen settings by metric, as ``thresholds=`` of scan and evaluate takes them."""
        self.budget = budget
        """Alerts a week that are to be had at most, of all metrics and columns together."""
        self.weeks = found.weeks
        """The weeks that were replayed."""
        self.reference = reference
        """The reference that the history was compared with, as a profile: compare new rows with it."""
        self.facts = dict(facts)
        """How the replay was made: tables, windows, incidents, seconds."""
        self.notes = notes
        """What a reader should know: metrics for which nothing fits, columns left out, …"""

    @property
    def chosen(self) -> list[Setting]:
        """The chosen setting of every metric for which one fits the budget."""
        return [setting for setting in self.settings if setting.chosen]

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics that were tried."""
        return list(dict.fromkeys(setting.metric for setting in self.settings))

    @property
    def alerts_a_week(self) -> float:
        """Alerts a week of the chosen settings together, outside of the marked incidents."""
        return sum(setting.false_alerts_a_week for setting in self.chosen)

    @property
    def status(self) -> str:
        """Is "ok" if a setting was found for every metric, else "warn"; "no_data" if there was nothing to replay."""
        if not self.settings:
            return "no_data"
        return "ok" if len(self.chosen) == len(self.metrics) else "warn"

    def sentences(self) -> list[str]:
        """What was chosen, in words, a sentence for each metric."""
        told = []
        for metric in self.metrics:
            best = next((each for each in self.chosen if each.metric == metric), None)
            if best is None:
                of_metric = [each for each in self.settings if each.metric == metric]
                least = min(each.false_alerts_a_week for each in of_metric)
                told.append(
                    f"{metric}: no setting fits its part of the budget; the fewest are {least:.3g} alerts a week"
                )
                continue
            runs = f", {best.consecutive} windows in a row" if best.consecutive > 1 else ""
            text = (
                f"{metric}: {best.method} {best.setting:.3g} ({METHODS[best.method]}){runs}: "
                f"{best.false_alerts_a_week:.3g} alerts a week"
            )
            if not math.isnan(best.missed):
                text += f" outside of incidents, {best.missed:.0f} incidents missed"
                if not math.isnan(best.delay):
                    text += f", {best.delay:.3g} windows until an alert"
            text += f"; sees a change of {best.sees:.3g} that lasts {self.facts['within']} windows"
            told.append(text)
        return told

    def to_pandas(self) -> pd.DataFrame:
        """Every setting that was tried as a pandas DataFrame (needs pandas)."""
        import pandas as pd

        return pd.DataFrame(self.settings, columns=list(Setting._fields))

    def save(self, path: str | Path) -> None:
        """Write the thresholds as .yaml, all that was found as .json, or the settings as .csv."""
        from gpumon.profiles.files import write

        write(path, self._content(Path(path)))

    def _content(self, path: Path) -> bytes:
        match path.suffix.lower():
            case ".yaml" | ".yml":
                import yaml

                head = "".join(f"# {sentence}\n" for sentence in self.sentences())
                body = yaml.safe_dump(
                    self.thresholds, allow_unicode=True, sort_keys=False, default_flow_style=None, width=200
                )
                return f"# Thresholds that gpumon tune chose for a budget of {self.budget:g} alerts a week.\n{head}{body}".encode()
            case ".json":
                import json

                return json.dumps(self.document(), ensure_ascii=False, allow_nan=False, indent=1).encode()
            case ".csv":
                import pyarrow as pa
                import pyarrow.csv as pcsv

                sink = pa.BufferOutputStream()
                columns = zip(*self.settings, strict=True) if self.settings else [[]] * len(Setting._fields)
                pcsv.write_csv(pa.table(dict(zip(Setting._fields, columns, strict=True))), sink)
                return bytes(sink.getvalue())
            case _:
                raise OptionError(
                    f"a tuning cannot be saved as {path.name!r}: use one of {', '.join(FORMATS)}"
                )

    def document(self) -> dict[str, Any]:
        """All that was found, as JSON can hold it: NaN and infinity are null."""
        return {
            "budget_a_week": self.budget,
            "alerts_a_week": self.alerts_a_week,
            "weeks": self.weeks,
            "status": self.status,
            "sentences": self.sentences(),
            "facts": self.facts,
            "notes": list(self.notes),
            "thresholds": self.thresholds,
            "settings": [
                {
                    name: None if isinstance(value, float) and not math.isfinite(value) else value
                    for name, value in setting._asdict().items()
                }
                for setting in self.settings
            ],
        }

    def show(self, console: Console) -> None:
        """Print what was chosen, and the best setting of every method."""
        from rich.table import Table
        from rich.text import Text

        console.print(
            Text(
                f"{self.alerts_a_week:.3g} alerts a week with the chosen thresholds, {self.budget:g} are allowed; replayed: "
                f"{self.facts['windows']:,} windows, {self.weeks:.3g} weeks",
                style="bold",
            )
        )
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        marked = any(not math.isnan(setting.missed) for setting in self.settings)
        rate = "false alerts a week" if marked else "alerts a week"
        for heading in ("", "metric", "method", "setting", "in a row", rate, "sees"):
            table.add_column(heading, justify="left" if heading in {"", "metric", "method"} else "right")
        for heading in ("missed", "delay") if marked else ():
            table.add_column(heading, justify="right")
        for setting in self._shown():
            cells = [
                "→" if setting.chosen else "",
                setting.metric,
                setting.method,
                f"{setting.setting:.3g}",
                str(setting.consecutive),
                f"{setting.false_alerts_a_week:.3g}" + ("" if setting.fits else " (too many)"),
                f"{setting.sees:.3g}",
            ]
            if marked:
                cells += [
                    f"{setting.missed:.0f}",
                    "" if math.isnan(setting.delay) else f"{setting.delay:.3g}",
                ]
            table.add_row(*(Text(cell) for cell in cells), style="bold" if setting.chosen else "")
        console.print(table)
        for sentence in (*self.sentences(), *self.notes):
            shown = "".join(
                letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in sentence
            )
            console.print(Text(f"  {shown}", style="dim"))

    def _shown(self) -> list[Setting]:
        """For each method its chosen setting, or the most sensitive that fits the budget, or of all."""
        groups: dict[tuple[str, str], list[Setting]] = {}
        for setting in self.settings:
            groups.setdefault((setting.metric, setting.method), []).append(setting)
        return [
            min(group, key=lambda it: (not it.chosen, not it.fits, *order(it))) for group in groups.values()
        ]

    def __repr__(self) -> str:
        from rich.console import Console

        sink = StringIO()
        self.show(Console(file=sink, width=120, color_system=None, force_jupyter=False))
        return sink.getvalue().rstrip()

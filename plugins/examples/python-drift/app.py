"""How far the shares of categories have moved from the reference: half the sum of their differences, from 0 (the same
shares) to 1 (nothing in common), or the distance of Jensen and Shannon. A plugin of the world `drift-plugin`, in Python.

All that it needs is imported here and not while it runs: the component is a picture of the interpreter after this module
was read, and has no files to import from later.
"""

import json
import math
from collections import Counter

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.lifecycle import PluginInfo
from wit_world.imports.types import (
    Column,
    ColumnData_Booleans,
    ColumnData_Categories,
    Error_BadConfig,
    Error_BadInput,
    Measurement,
    Report,
    Severity,
    Table,
    Window,
)

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "threshold": {
            "description": "From which distance on a column has drifted.",
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 1,
            "default": 0.1,
        },
        "measure": {"description": "Which distance.", "enum": ["shares", "jensen_shannon"], "default": "shares"},
    },
}

threshold = 0.1
measure = "shares"


class Lifecycle(exports.Lifecycle):
    def describe(self) -> PluginInfo:
        return PluginInfo("python-drift", "0.1.0", json.dumps(SCHEMA))

    def configure(self, config_json: str) -> None:
        global threshold, measure
        try:
            config = json.loads(config_json)
        except ValueError as error:
            raise Err(Error_BadConfig(str(error))) from error
        unknown = sorted(set(config) - {"threshold", "measure"}) if isinstance(config, dict) else ["what is no object"]
        if unknown:
            raise Err(Error_BadConfig(f"unknown: {', '.join(unknown)}"))
        given = config.get("threshold", 0.1)
        if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 < given <= 1:
            raise Err(Error_BadConfig("`threshold` is above 0 and 1 at most"))
        if config.get("measure", "shares") not in MEASURES:
            raise Err(Error_BadConfig(f"`measure` is one of {', '.join(MEASURES)}"))
        threshold, measure = float(given), config.get("measure", "shares")


class Drift(exports.Drift):
    def evaluate(self, window: Window, reference: Table, current: Table) -> Report:
        now = {column.name: column for column in current.columns}
        compared = [
            (column.name, counted(column), counted(now[column.name]) if column.name in now else Counter())
            for column in reference.columns
            if isinstance(column.data, (ColumnData_Categories, ColumnData_Booleans))
        ]
        if not compared:
            raise Err(Error_BadInput("the reference has no column of categories"))
        return Report([measured(*columns) for columns in compared], None)


def counted(column: Column) -> Counter:
    """How often each category is there, without the rows that have none."""
    missing = set(column.missing)
    match column.data:
        case ColumnData_Categories(categories):
            values = [categories.levels[code] if row not in missing else None for row, code in enumerate(categories.codes)]
        case ColumnData_Booleans(booleans):
            values = [str(value).lower() if row not in missing else None for row, value in enumerate(booleans)]
        case _:
            values = []
    return Counter(value for value in values if value is not None)


def measured(name: str, before: Counter, now: Counter) -> Measurement:
    labels = [("column", name)]
    value = MEASURES[measure](before, now) if before and now else math.nan
    if math.isnan(value):
        # A number that is none needs this label: the host refuses the whole report otherwise.
        labels.append(("undefined", "one side has no values"))
    breached = value >= threshold
    severity = Severity.ALERT if breached else Severity.INFO
    return Measurement(f"{measure}:{name}", value, threshold, None, breached, severity, labels)


def shares(before: Counter, now: Counter) -> list[tuple[float, float]]:
    """Of each category, in an order that is the same everywhere."""
    return [(before[value] / before.total(), now[value] / now.total()) for value in sorted({*before, *now})]


def half_the_differences(before: Counter, now: Counter) -> float:
    return math.fsum(abs(p - q) for p, q in shares(before, now)) / 2


def jensen_shannon(before: Counter, now: Counter) -> float:
    def part(share: float, mixed: float) -> float:
        return share * math.log(share / mixed) if share else 0.0

    parts = (part(p, (p + q) / 2) + part(q, (p + q) / 2) for p, q in shares(before, now))
    return math.sqrt(max(math.fsum(parts) / 2, 0.0))


MEASURES = {"shares": half_the_differences, "jensen_shannon": jensen_shannon}

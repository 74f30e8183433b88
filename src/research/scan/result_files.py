"""What is written of a scan: a row of every tested pair, the pairs for the bot, everything for machines."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ccxt_bt_bridge.bt_time import ms_to_datetime
from pairs.symbols import base_currency, quote_currency
from research.scan.choice import Row
from research.scan.inputs import Inputs
from research.scan.scan import Scan
from trading.reports.output_files import write_atomically
from trading.utc_text import utc_text

COLUMNS = (
    "leg_a", "leg_b", "n_bars", "hedge_ratio", "intercept", "coint_t", "coint_p", "coint_lag", "coint_t_reverse",
    "coint_p_reverse", "adf_t", "adf_p", "half_life_bars", "half_life_low", "half_life_high", "q_value", "passed",
    "reason",
)  # fmt: skip
PLACES = 12


def csv_text(scan: Scan) -> str:
    """One row a tested pair, best first. An infinite half-life is ``inf``; what is not known is empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    columns = [_column(scan, name) for name in COLUMNS]
    order = np.lexsort((scan.tests.half_life_bars, scan.tests.coint_p)).tolist()
    writer.writerows([_cell(column[row]) for column in columns] for row in order)
    return text.getvalue()


def pair_facts(scan: Scan, row: Row) -> dict[str, Any]:
    """Everything that the tests and the choice say of one pair."""
    leg_a, leg_b = scan.symbols(row)
    named = {"leg_a": leg_a, "leg_b": leg_b}
    tests = {
        name: getattr(scan.tests, name)[row].item()
        for name in (*COLUMNS[2:15], "coint_lag_reverse", "correlation", "spread_std", "zero_crossings")
    }
    verdict = {
        "q_value": float(scan.q_values[row]),
        "q_value_both": float(scan.q_values_both[row]),
        "passed": row in scan.choice.chosen,
        "reason": scan.choice.reasons[row],
    }
    return named | tests | verdict


def pairs_config(scan: Scan, inputs_name: str) -> dict[str, Any]:
    """The chosen pairs as ``pairs_file`` of a bot's config."""
    first, last = (utc_text(ms_to_datetime(int(scan.universe.time_ms[at]))) for at in (0, -1))
    settings, count = scan.settings, len(scan.tests)
    description = f"{len(scan.choice.chosen)} of {count} pairs of a scan over {first} to {last}; inputs: {inputs_name}"
    return {
        "description": description,
        "pairs": [
            {
                "pair_id": scan.names[row],
                **{leg: slashed(symbol) for leg, symbol in zip(("leg_a", "leg_b"), scan.symbols(row), strict=True)},
                "hedge_ratio": _short(scan.tests.hedge_ratio[row]),
                "z_score_threshold": settings.gates.entry_z,
                "stop_loss_z": settings.gates.stop_z,
                "half_life_candles": max(round(float(scan.tests.half_life_bars[row]), 2), 0.01),
                "intercept": _short(scan.tests.intercept[row]),
                "prices": "log",
                "interval": settings.interval,
                "formation_start": first,
                "formation_end": last,
            }
            for row in scan.choice.chosen
        ],
    }


def report(scan: Scan, inputs: Inputs) -> dict[str, Any]:
    """Everything for machines: counts, chance, the chosen and the nearest pairs with all their figures, exclusions."""
    gates = scan.settings.gates
    return {
        "inputs": inputs.as_json(),
        "symbols": list(scan.universe.symbols),
        "first": utc_text(ms_to_datetime(int(scan.universe.time_ms[0]))),
        "last": utc_text(ms_to_datetime(int(scan.universe.time_ms[-1]))),
        "bars": len(scan.universe.time_ms),
        "tested": len(scan.tests),
        "passing": len(scan.choice.passing),
        "chance": {
            "level": gates.max_pvalue,
            "expected_nominal": gates.max_pvalue * len(scan.tests),
            "rate_measured": scan.chance.rate(gates.max_pvalue),
            "expected_measured": scan.chance.rate(gates.max_pvalue) * len(scan.tests),
            "simulated_markets": scan.chance.draws,
            "simulated_pairs": len(scan.chance.pvalues),
        },
        "chosen": [_entry(scan, row) for row in scan.choice.chosen],
        "nearest": [_entry(scan, row) for row in scan.choice.near],
        "excluded": [asdict(one) for one in scan.excluded],
        "windows": [asdict(one) | {"end": utc_text(ms_to_datetime(one.end_ms))} for one in scan.windows],
        "notes": list(scan.notes),
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all. Raises ``OutputPathError``."""
    write_atomically(path, f"{json.dumps(without_unknown(content), indent=2, allow_nan=False)}\n".encode())


def without_unknown(value: Any) -> Any:
    """The same with null for every number that is none."""
    if isinstance(value, dict):
        return {key: without_unknown(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_unknown(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def slashed(symbol: str) -> str:
    """``BTCUSDT`` → ``BTC/USDT``; a symbol without a known quote stays."""
    quote = quote_currency(symbol)
    return f"{base_currency(symbol)}/{quote}" if quote else symbol


def _entry(scan: Scan, row: Row) -> dict[str, Any]:
    return {"pair_id": scan.names[row]} | pair_facts(scan, row) | asdict(scan.choice.figures[row])


def _column(scan: Scan, name: str) -> list[Any]:
    """One value a row, in plain Python; whole columns, since a large universe has a hundred thousand rows."""
    if name in ("leg_a", "leg_b"):
        legs = scan.tests.first if name == "leg_a" else scan.tests.second
        return [scan.universe.symbols[at] for at in legs.tolist()]
    if name == "passed":
        return np.isin(np.arange(len(scan.tests)), scan.choice.chosen).tolist()
    if name == "reason":
        return list(scan.choice.reasons)
    column: np.ndarray = scan.q_values if name == "q_value" else getattr(scan.tests, name)
    return column.tolist()


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return str(value)


def _short(value: np.floating) -> float:
    return float(f"{float(value):.{PLACES}g}")

"""What must hold of the pairs and of the statistics they are traded by. Each rule runs on whatever could be read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime

from pairs.symbols import quote_currency
from trading.config.check import Check, PairFacts
from trading.config.params import RuleFacts
from trading.config.position_json import Path
from trading.config.report import ERROR, WARNING, Problem
from trading.config.source import MISSING, finite


def pairs_or_symbol(check: Check) -> Iterator[Problem]:
    """A pair strategy names pairs, in one place; a one-symbol strategy names its symbol, and never both."""
    facts, source = check.facts, check.source
    kind = facts.text("strategy", "type")
    if facts.given("pairs") and facts.given("pairs_file"):
        yield source.problem(("pairs_file",), "pairs stand in the config too", key=True, expected="one of the two")
    if check.names_pairs:
        yield from _no_symbol_beside_pairs(check)
    if kind == "custom" and check.names_pairs:
        path = ("pairs",) if facts.given("pairs") else ("pairs_file",)
        yield source.problem(path, "a custom strategy trades one symbol", key=True, expected='strategy.type "pair"')
    if kind == "pair" and not check.names_pairs:
        yield source.problem(("pairs",), "a pair strategy needs pairs", expected='"pairs" or "pairs_file"')
    if kind == "custom" and not (facts.given("trading", "symbol") or facts.given("data", "symbol")):
        yield source.problem(("trading", "symbol"), "a custom strategy needs a symbol", expected="such as BTCUSDT")


def _no_symbol_beside_pairs(check: Check) -> Iterator[Problem]:
    for section in ("trading", "data"):
        if check.facts.given(section, "symbol"):
            message = "a symbol stands beside pairs; the pairs name their own"
            yield check.source.problem((section, "symbol"), message, key=True)


def legs(check: Check) -> Iterator[Problem]:
    """Two different symbols in one quote currency."""
    for pair in check.pairs:
        symbol_a, symbol_b = pair.symbol("leg_a"), pair.symbol("leg_b")
        if symbol_a is None or symbol_b is None:
            continue
        if symbol_a == symbol_b:
            yield pair.problem("leg_b", "both legs are the same symbol", expected=f"another symbol than {symbol_a}")
            continue
        quote_a, quote_b = (quote_currency(pair.text(key) or "") for key in ("leg_a", "leg_b"))
        if quote_a and quote_b and quote_a != quote_b:
            message = f"the legs have different quote currencies, {quote_a} and {quote_b}"
            yield pair.problem("leg_b", message, expected=f"a symbol quoted in {quote_a}")


def shared_symbols(check: Check) -> Iterator[Problem]:
    """Live, a symbol belongs to one pair unless sharing is allowed; in simulation it is worth a warning."""
    if check.facts.flag("broker", "allow_shared_symbols"):
        return
    owners: dict[str, str] = {}
    for index, pair in enumerate(check.pairs):
        name = pair.text("pair_id") or f"pairs[{index}]"
        for key in ("leg_a", "leg_b"):
            symbol = pair.symbol(key)
            if symbol is not None and owners.setdefault(symbol, name) != name:
                yield _shared(check, pair, key, f"{symbol} is a leg of {owners[symbol]} too")


def _shared(check: Check, pair: PairFacts, key: str, message: str) -> Problem:
    if check.is_live:
        expected = "a symbol of its own for each pair, or broker.allow_shared_symbols"
        return pair.problem(key, message, expected=expected)
    return pair.problem(key, f"{message}; live this is refused", severity=WARNING)


def pair_ids(check: Check) -> Iterator[Problem]:
    """No name twice."""
    seen: set[str] = set()
    for pair in check.pairs:
        name = pair.text("pair_id")
        if name in seen:
            yield pair.problem("pair_id", "another pair has this pair_id", expected="a name of its own")
        seen |= {name} if name else set()


def hedge_ratios(check: Check) -> Iterator[Problem]:
    """A pair has a ratio or a method, not both and not neither."""
    for pair in check.pairs:
        method = check.hedge_method(pair)
        if pair.given("hedge_ratio") and method not in (None, "fixed"):
            message = f"a hedge_ratio stands beside the hedge method {method}"
            yield pair.problem("hedge_ratio", message, expected="one of the two")
        if not pair.given("hedge_ratio") and method == "fixed":
            yield pair.problem("hedge_ratio", "the pair has no hedge ratio", expected="a hedge_ratio or a hedge method")


def kalman(check: Check) -> Iterator[Problem]:
    """``signal.use_kalman_filter`` and the hedge method say the same."""
    wanted = check.facts.flag("signal", "use_kalman_filter")
    if wanted is None or not check.facts.given("strategy", "hedge"):
        return
    method = check.facts.text("strategy", "hedge", "method") or "ols"
    if wanted != (method == "kalman"):
        message = f"does not agree with strategy.hedge.method, which is {method}"
        yield check.source.problem(("signal", "use_kalman_filter"), message)


def pair_words_said_twice(check: Check) -> Iterator[Problem]:
    """Two names of one thing hold one value."""
    for pair in check.pairs:
        first, second = pair.number("z_score_threshold"), pair.number("entry_threshold")
        if first is not None and second is not None and first != second:
            message = "z_score_threshold says another value"
            yield pair.problem("entry_threshold", message, expected=f"{first:g}, or only one of the two")
        inner = (pair.hedge() or check.facts.members("strategy", "hedge")).get("prices")
        if pair.given("prices") and inner is not None and inner != pair.values["prices"]:
            yield pair.problem("prices", "the hedge says other prices", expected=f"{inner}, or only one of the two")


def formation(check: Check) -> Iterator[Problem]:
    """A formation window has two ends in order; a pair found on another interval is worth a warning."""
    for pair in check.pairs:
        if pair.given("formation_start") != pair.given("formation_end"):
            missing = "formation_end" if pair.given("formation_start") else "formation_start"
            yield pair.problem(missing, "the formation window has only one end", expected="both ends or none")
        start, end = _time(pair.text("formation_start")), _time(pair.text("formation_end"))
        if start and end and end <= start:
            yield pair.problem("formation_end", "the formation window ends before it starts")
        interval, ours = pair.text("interval"), check.facts.text("data", "interval")
        if interval and ours and interval != ours:
            message = f"the pair was found on other bars than data.interval, {ours}; its half-life counts those"
            yield pair.problem("interval", message, severity=WARNING)


def _time(text: str | None) -> datetime | None:
    try:
        when = datetime.fromisoformat(text) if text else None
        return None if when is None else when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def thresholds(check: Check) -> Iterator[Problem]:
    """exit < entry < stop, for the rules and for each pair with thresholds of its own."""
    exit_z = check.exit.number("x_exit_z")
    entry, stop = check.entry.number("e_entry_z"), check.exit.number("x_stop_z")
    entry_path, stop_path = check.entry.place("e_entry_z"), check.exit.place("x_stop_z")
    if entry is not None and exit_z is not None and entry <= exit_z:
        yield check.source.problem(entry_path, "the entry is not above the exit", expected=f"above {exit_z:g}")
    if entry is not None and stop is not None and stop <= entry:
        yield check.source.problem(stop_path, "the stop is not above the entry", expected=f"above {entry:g}")
    for pair in check.pairs:
        yield from _pair_thresholds(pair, entry, exit_z, stop)


def _pair_thresholds(
    pair: PairFacts, entry: float | None, exit_z: float | None, stop: float | None
) -> Iterator[Problem]:
    own_entry, own_stop = pair.number("z_score_threshold", "entry_threshold"), pair.number("stop_loss_z")
    if own_entry is not None and exit_z is not None and own_entry <= exit_z:
        yield pair.problem(pair.entry_key, "the entry is not above the exit", expected=f"above {exit_z:g}")
    entry = own_entry if own_entry is not None else entry
    stop = own_stop if own_stop is not None else stop
    if entry is None or stop is None or stop > entry or (own_entry is None and own_stop is None):
        return
    if own_stop is not None:
        yield pair.problem("stop_loss_z", "the stop is not above the entry", expected=f"above {entry:g}")
    else:
        yield pair.problem(pair.entry_key, "the entry is not below the stop", expected=f"below {stop:g}")


def reachable(check: Check) -> Iterator[Problem]:
    """With the current bar in its own window |z| has a greatest value: sqrt(n-1) for ddof 0, (n-1)/sqrt(n) for 1."""
    window, ddof = check.entry.number("e_window"), check.entry.number("e_ddof")
    if check.entry.text("e_statistics_window") != "inclusive" or window is None or window < 2:
        return
    cap = math.sqrt(window - 1) if ddof == 0 else (window - 1) / math.sqrt(window)
    note = f"with an inclusive window of {window:g} bars |z| never exceeds {cap:.3g}"
    for rule, name in ((check.entry, "e_entry_z"), (check.exit, "x_stop_z")):
        value = rule.number(name)
        if value is not None and value >= cap:
            yield check.source.problem(rule.place(name), f"can never be reached: {note}", expected=f"below {cap:.3g}")
    for pair in check.pairs:
        for key in (pair.entry_key, "stop_loss_z"):
            value = pair.number(key)
            if value is not None and value >= cap:
                yield pair.problem(key, f"can never be reached: {note}", expected=f"below {cap:.3g}")


def warm_up(check: Check) -> Iterator[Problem]:
    """What the rules and the hedge need fits into the history."""
    history = check.facts.number("data", "lookback_bars")
    if history is None:
        return
    for rule in (check.entry, check.exit):
        needed = _rule_bars(rule)
        if needed is not None and needed > history:
            yield check.source.problem(_rule_path(rule), _too_short(needed, history), expected=_wanted(needed))
    yield from _health_window(check, history)
    strategy_hedge = ("strategy", "hedge")
    if check.facts.given(*strategy_hedge):
        yield from _hedge_window(check, check.source.value(strategy_hedge), strategy_hedge, history)
    for pair in check.pairs:
        needed = _window_of(pair.hedge())
        if needed is not None and needed > history:
            path = (*pair.path, "hedge", "window")
            yield pair.source.problem(path, _too_short(needed, history), expected=_wanted(needed))


def _health_window(check: Check, history: float) -> Iterator[Problem]:
    """Else the verdict on a pair would depend on when the bot was started."""
    every, window = check.facts.number("pair_health", "every_bars"), check.facts.number("pair_health", "window")
    if every is not None and window is not None and window + every > history:
        needed = window + every
        yield check.source.problem(("pair_health", "every_bars"), _too_short(needed, history), expected=_wanted(needed))


def _hedge_window(check: Check, hedge: object, path: Path, history: float) -> Iterator[Problem]:
    needed = _window_of(hedge if isinstance(hedge, dict) else None)
    if needed is not None and needed > history:
        yield check.source.problem((*path, "window"), _too_short(needed, history), expected=_wanted(needed))


def _window_of(hedge: object) -> float | None:
    """The bars a hedge method needs, None when it needs none."""
    if not isinstance(hedge, dict) or hedge.get("method", "ols") == "fixed":
        return None
    return finite(hedge.get("window", 500))


def _rule_bars(rule: RuleFacts) -> float | None:
    bars = rule.warmup_bars
    return bars if bars is not None else rule.number("e_window" if rule.kind == "entry" else "x_atr_period")


def _rule_path(rule: RuleFacts) -> Path:
    if rule.number("e_window") is not None:
        return rule.place("e_window")
    params = (*rule.path, "params")
    return params if rule.source.value(params) is not MISSING else rule.path


def _too_short(needed: float, history: float) -> str:
    return f"needs {needed:g} bars before the first answer, and the history has {history:g}"


def _wanted(needed: float) -> str:
    return f"data.lookback_bars of {needed:g} or more"


def rules_fit_the_strategy(check: Check) -> Iterator[Problem]:
    """A rule that reads a spread needs a pair; one that reads a single market's bars cannot enter a pair."""
    kind = check.facts.text("strategy", "type")
    for rule in (check.entry, check.exit):
        market = getattr(rule.rule, "market", "any")
        name = (*rule.path, "name")
        if kind == "custom" and market == "pair":
            yield check.source.problem(name, "this rule reads the spread of a pair", expected="a rule for one symbol")
        if kind == "pair" and market == "single":
            severity = ERROR if rule.kind == "entry" else WARNING
            message = "this rule reads the bars of one symbol, in a pair those of leg_a"
            yield check.source.problem(name, message, severity=severity, expected="a rule for pairs")

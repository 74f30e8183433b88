"""What must hold of the venue, the sizes and the files of a config. Each rule runs on whatever could be read."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from brokers.simulated.fault_kinds import KINDS, PARAMETERS, misuse
from ccxt_bt_bridge.local_address import loopback_address, trust
from pairs.symbols import compact_symbol
from trading.config.check import Check, PairFacts
from trading.config.notifiers import NOTIFIERS, missing_names
from trading.config.position_json import Path
from trading.config.report import WARNING, Problem
from trading.config.sections import INTERVAL_HOURS
from trading.config.source import HIDDEN, finite, is_secret_key, is_secret_value

_DATA_OF_BROKER = {"binance": "binance", "binance_paper": "binance", "ibkr": "ibkr"}
_OTHER_KINDS = (".json", ".sqlite", ".csv", ".py", ".lock")
SHORTEST_BAR_MS = 50.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_WRITTEN = (("logging", "log_file"), ("logging", "json_dir"), ("logging", "error_file"), ("state", "dir"))
_ROOTED = re.compile(r"[/\\~]|[A-Za-z]:")
_BELOW_ONE = "maintenance_margin_pct"  # the one per cent that is below one by nature
_KEYS_OF_BROKER = {"binance": ("BINANCE_API_KEY", "BINANCE_API_SECRET")}


def words_said_twice(check: Check) -> Iterator[Problem]:
    """What two sections may both say, they say alike."""
    facts, source = check.facts, check.source
    first, second = facts.text("trading", "symbol"), facts.text("data", "symbol")
    if first and second and compact_symbol(first) != compact_symbol(second):
        message = "trading.symbol says another symbol"
        yield source.problem(("data", "symbol"), message, expected=f"{first}, or only one of the two")
    for path, other in (
        (("strategy", "position_size"), ("trading", "position_size")),
        (("strategy", "sizing", "risk_per_trade"), ("execution", "risk_per_trade")),
        (("broker", "use_testnet"), ("broker", "testnet")),
        (("risk", "backtest_rearm"), ("risk_management", "backtest_rearm")),
    ):
        if facts.given(*path) and facts.given(*other) and source.value(path) != source.value(other):
            message = f"{'.'.join(other)} says another value"
            yield source.problem(path, message, expected="the same value, or only one of the two")


def source_of_data(check: Check) -> Iterator[Problem]:
    """A real venue, and a paper account on it, is traded on its own data."""
    wanted, found = _DATA_OF_BROKER.get(check.broker or ""), check.facts.text("data", "data_source")
    if wanted is not None and found is not None and found != wanted:
        message = f"broker.type {check.broker} trades on the venue's own data"
        yield check.source.problem(("data", "data_source"), message, expected=wanted)


def history_leaves_bars(check: Check) -> Iterator[Problem]:
    """The mock market is longer than the history taken from its start."""
    history, bars = check.facts.number("data", "lookback_bars"), check.facts.number("mock", "bars")
    if check.facts.text("data", "data_source") != "mock" or history is None or bars is None:
        return
    if history >= bars:
        path = ("data", "lookback_bars")
        yield check.source.problem(path, f"leaves no bar to trade of mock.bars, {bars:g}", expected=f"below {bars:g}")


def mock_symbols(check: Check) -> Iterator[Problem]:
    """A mock market that names its symbols has those of the pairs."""
    names = check.facts.items("mock", "symbols")
    known = {compact_symbol(name) for name in names if isinstance(name, str)}
    missing = [symbol for symbol in check.symbols() if symbol not in known]
    if names and missing and check.facts.text("data", "data_source") == "mock":
        yield check.source.problem(("mock", "symbols"), f"lacks {', '.join(missing[:5])}, which the config trades")


def market_speed(check: Check) -> Iterator[Problem]:
    """Orders take real milliseconds: when a bar lasts hardly longer, they miss it."""
    speed, interval = check.facts.number("mock", "speed"), check.facts.text("data", "interval")
    if speed is None or speed <= 0 or interval not in INTERVAL_HOURS:
        return
    lasts_ms = INTERVAL_HOURS[interval] * 3_600_000.0 / speed
    if lasts_ms < SHORTEST_BAR_MS:
        message = f"a bar would last {lasts_ms:.3g} ms, too short for orders to keep up"
        yield check.source.problem(("mock", "speed"), message, expected='"max" or slower', severity=WARNING)


def shorts(check: Check) -> Iterator[Problem]:
    """One leg of a pair is always sold short, which a spot market does not do."""
    if check.facts.text("broker", "market") != "spot":
        return
    if check.names_pairs or check.facts.text("strategy", "type") == "pair":
        message = "a pair sells one leg short, which a spot market cannot"
        yield check.source.problem(("broker", "market"), message, expected='"usdm"')


def position_mode(check: Check) -> Iterator[Problem]:
    """Orders carry no position side: an account in hedge mode would refuse every one of them."""
    path: Path = ("broker", "account", "position_mode")
    if check.facts.text(*path) == "hedge":
        message = "a hedge-mode account refuses one-way orders, and there are no others here"
        yield check.source.problem(path, message, expected='"one_way", set at the exchange too')


def leverage(check: Check) -> Iterator[Problem]:
    """The account's leverage stays inside the risk limit."""
    found, limit = (
        check.facts.number("broker", "account", "leverage"),
        check.facts.number("risk_management", "max_leverage"),
    )
    if found is None or limit is None or found <= limit:
        return
    path: Path = ("broker", "account", "leverage")
    if not check.facts.given(*path):
        path = ("risk_management", "max_leverage")
    message = f"the account's leverage, {found:g}, is above risk_management.max_leverage, {limit:g}"
    yield check.source.problem(path, message, expected="broker.account.leverage up to risk_management.max_leverage")


def simulation_or_live(check: Check) -> Iterator[Problem]:
    """Settings that only simulation or only a real venue has."""
    facts, source = check.facts, check.source
    if check.is_live:
        if facts.items("broker", "faults"):
            yield source.problem(("broker", "faults"), "faults are for the simulated exchange", key=True)
        if not facts.given("risk_management"):
            yield source.problem(("risk_management",), "a live bot needs its risk limits written down")
        for key in ("initial_balance", "latency_ms"):
            if facts.given("broker", key):
                yield source.problem(("broker", key), "is for simulation only", severity=WARNING, key=True)
        return
    if check.broker is not None:
        for key in ("capital", "testnet", "use_testnet"):
            if facts.given("broker", key) and source.value(("broker", key)) is not False:
                message = f"has no effect: broker.type {check.broker} is a simulation"
                yield source.problem(("broker", key), message, severity=WARNING, key=True)


def exchange_address(check: Check) -> Iterator[Problem]:
    """An exchange of one's own is on this machine: no key leaves it. It does not stand beside the test network."""
    path, address = ("broker", "exchange_url"), check.facts.text("broker", "exchange_url")
    if address is None:
        if check.facts.given("broker", "ca_file"):
            yield check.source.problem(("broker", "ca_file"), "is for an https exchange_url only", key=True)
        return
    try:
        parts = urlsplit(address)
        host, has_login = parts.hostname, "@" in parts.netloc
    except ValueError:
        yield check.source.problem(path, "is no address", expected="an address such as http://127.0.0.1:8787")
        return
    if has_login:
        yield check.source.problem(path, "an address holds no login; secrets come from the environment", found=HIDDEN)
    elif parts.scheme in ("http", "https") and host not in _LOOPBACK:
        message = "is for an exchange on this machine only; a real one needs no address"
        yield check.source.problem(path, message, expected="an address such as http://127.0.0.1:8787, or null")
    elif parts.scheme == "https" and not check.facts.given("broker", "ca_file"):
        yield check.source.problem(
            path, "https needs broker.ca_file, the certificate to trust", expected="http, or both"
        )
    elif parts.scheme in ("http", "https"):
        yield from _address_and_trust(check, address, check.facts.text("broker", "ca_file"))
    if check.facts.flag("broker", "testnet") or check.facts.flag("broker", "use_testnet"):
        yield check.source.problem(
            path, "stands beside testnet, which has an address of its own", expected="one of the two"
        )


def _address_and_trust(check: Check, address: str, ca_file: str | None) -> Iterator[Problem]:
    try:
        loopback_address(address, ca_file)
    except ValueError as error:
        yield check.source.problem(("broker", "exchange_url"), str(error), expected="such as http://127.0.0.1:8787")
        return
    try:
        if ca_file is not None:
            trust(ca_file)
    except ValueError as error:
        yield check.source.problem(("broker", "ca_file"), str(error), expected="the ca.pem of that exchange")


def faults(check: Check) -> Iterator[Problem]:
    """Each fault says when it strikes, in one way, and none waits for a symbol that is never traded."""
    known = set(check.symbols())
    for index, fault in enumerate(check.facts.items("broker", "faults")):
        if not isinstance(fault, dict):
            continue
        path: Path = ("broker", "faults", index)
        if (fault.get("at") is None) == (fault.get("rate") is None):
            yield check.source.problem(path, "a fault strikes at a call or at a rate", expected='either "at" or "rate"')
        symbol = fault.get("symbol")
        if isinstance(symbol, str) and known and compact_symbol(symbol) not in known:
            message = f"{symbol} is not traded here: the fault would never strike"
            yield check.source.problem((*path, "symbol"), message, expected=", ".join(sorted(known)))
        kind, on = fault.get("kind"), fault.get("on")
        if not isinstance(kind, str) or kind not in KINDS or not isinstance(on, str | None):
            continue
        wrong = misuse(kind, on, [name for name in PARAMETERS if fault.get(name) is not None])
        if wrong is not None:
            yield check.source.problem((*path, wrong[0]), wrong[1], key=True)


def exposure(check: Check) -> Iterator[Problem]:
    """One position of the configured size stays inside the limits, else every entry would be refused."""
    size = check.position_size
    if size is None or check.facts.text("strategy", "sizing", "method") != "fixed":
        return
    for path in (("trading", "max_exposure"), ("trading", "max_pair_exposure"), ("risk_management", "max_leverage")):
        limit = check.facts.number(*path)
        if limit is not None and size > limit:
            message = f"one position of {size:g} times equity is above {'.'.join(path)}; no entry would pass"
            yield check.source.problem(check.size_path, message, expected=f"at most {limit:g}")
    limit = check.facts.number("execution", "max_position_size")
    if limit is not None and size > limit:
        message = f"a position of {size:g} times equity is above execution.max_position_size, {limit:g}, which wins"
        yield check.source.problem(check.size_path, message, severity=WARNING)


def minimum_sizes(check: Check) -> Iterator[Problem]:
    """Every leg reaches the minimum that the venue or the config asks of an order."""
    equity, size = check.equity, check.position_size
    if equity is None or size is None or check.facts.text("strategy", "sizing", "method") != "fixed":
        return
    for pair in check.pairs:
        problem = _pair_size(check, pair, equity * size)
        if problem is not None:
            yield problem
    if not check.names_pairs:
        for symbol in check.symbols():
            yield from _single_size(check, symbol, equity * size)


def _pair_size(check: Check, pair: PairFacts, gross: float) -> Problem | None:
    symbols = [pair.symbol("leg_a"), pair.symbol("leg_b")]
    if None in symbols:
        return None
    minimums = [_minimum(check, symbol or "") for symbol in symbols]
    legs = _notionals(check, pair, gross)
    for symbol, minimum, notional in zip(symbols, minimums, legs or [], strict=False):
        if notional < minimum:
            return _too_small(check, pair, f"the leg {symbol} would be {notional:.2f}, under its minimum {minimum:g}")
    if legs is None and gross < sum(minimums):
        return _too_small(check, pair, f"the pair would be {gross:.2f}, under the {sum(minimums):g} its legs need")
    return None


def _too_small(check: Check, pair: PairFacts, message: str) -> Problem:
    name = pair.text("pair_id") or "a pair"
    return check.source.problem(check.size_path, f"too small for {name}: {message} (quote currency)")


def _notionals(check: Check, pair: PairFacts, gross: float) -> tuple[float, float] | None:
    """The notionals of both legs where they are known before any price is."""
    if check.facts.text("strategy", "sizing", "neutrality") == "dollar":
        return gross / 2, gross / 2
    beta, hedges = pair.number("hedge_ratio"), (pair.hedge() or {}, check.facts.members("strategy", "hedge"))
    said = (pair.text("prices"), *(hedge.get("prices") for hedge in hedges), "log")
    prices = next(value for value in said if value is not None)
    if beta is None or beta <= 0 or prices != "log" or check.hedge_method(pair) != "fixed":
        return None
    return gross / (1 + beta), gross * beta / (1 + beta)


def _single_size(check: Check, symbol: str, gross: float) -> Iterator[Problem]:
    minimum = _minimum(check, symbol)
    if gross < minimum:
        message = f"too small for {symbol}: the position would be {gross:.2f}, under its minimum {minimum:g}"
        yield check.source.problem(check.size_path, f"{message} (quote currency)")


def _minimum(check: Check, symbol: str) -> float:
    known = finite((check.market_info(symbol) or {}).get("min_notional")) or 0.0
    return max(known, check.facts.number("execution", "min_order_value") or 0.0)


def known_filters(check: Check) -> Iterator[Problem]:
    """The mock exchange knows its own filters; elsewhere sizes can only be checked against ``data.market_info``."""
    if check.broker not in _DATA_OF_BROKER:
        return
    unknown = [symbol for symbol in check.symbols() if check.market_info(symbol) is None]
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        message = f"no filters are known for {', '.join(unknown[:5])}{more}; sizes could not be checked"
        path = ("data", "market_info")
        yield check.source.problem(path, message, severity=WARNING, expected="tick, step, min_notional per symbol")


def trailing(check: Check) -> Iterator[Problem]:
    """A trailing stop wider than its activation can close at a loss."""
    stop = ("risk_management", "trailing_stop")
    start, distance = check.facts.number(*stop, "activation_pct"), check.facts.number(*stop, "trailing_pct")
    if check.facts.flag(*stop, "enabled") and start is not None and distance is not None and distance > start:
        message = f"trails further than activation_pct, {start:g}, and may close at a loss"
        yield check.source.problem((*stop, "trailing_pct"), message, severity=WARNING)


def written_paths(check: Check) -> Iterator[Problem]:
    """Everything written stays inside the working directory."""
    for path in _WRITTEN:
        text = check.facts.text(*path)
        if text is None:
            continue
        if _ROOTED.match(text) or ".." in re.split(r"[/\\]", text):
            yield check.source.problem(path, "leaves the working directory", expected="a path inside it")
        elif path[1].endswith("_file") and re.split(r"[/\\]", text)[-1] in ("", "."):
            yield check.source.problem(path, "names a folder", expected="a file")


def files_of_their_own(check: Check) -> Iterator[Problem]:
    """No log is written over another, over the state, or over a file of another kind."""
    taken: dict[str, str] = {}
    for path in _WRITTEN:
        text = check.facts.text(*path)
        if text is None:
            continue
        place, name = posixpath.normpath(text), ".".join(path)
        if path[1].endswith("_file") and place.endswith(_OTHER_KINDS):
            yield check.source.problem(path, "names a file of another kind", expected="a name that ends in .log")
        elif place in taken:
            yield check.source.problem(path, f"is the place of {taken[place]} already", expected="another path")
        taken.setdefault(place, name)


def percents_and_secrets(check: Check) -> Iterator[Problem]:
    """Values that are suspicious wherever they stand: fractions for per cents, and secrets."""
    for path, value in _leaves(check.source.values, ()):
        key = next((step for step in reversed(path) if isinstance(step, str)), "")
        if is_secret_value(value) and not is_secret_key(key):
            yield check.source.problem(
                path, "this looks like a secret; secrets come from the environment", found=HIDDEN
            )
        if key.endswith("_pct") and key != _BELOW_ONE and not isinstance(value, bool | str | None) and 0 < value < 1:
            expected = f"per cents, 0 to 100; {value * 100:g} if {value * 100:g} % is meant"
            yield check.source.problem(path, "looks like a fraction", severity=WARNING, expected=expected)


def _leaves(values: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    members = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for step, value in members:
        here = (*path, step)
        if isinstance(value, dict | list):
            yield from _leaves(value, here)
        else:
            yield here, value


def secrets_there(check: Check) -> Iterator[Problem]:
    """Enabled notifiers and real venues have their secrets in the environment."""
    if check.facts.flag("notifications", "enabled"):
        for notifier in NOTIFIERS:
            if check.facts.flag("notifications", notifier, "enabled"):
                yield from _missing(check, ("notifications", notifier, "enabled"), _lacks(check, notifier))
        yield from _nobody_commands(check)
    if not check.facts.given("broker", "exchange_url"):
        names = _KEYS_OF_BROKER.get(check.broker or "", ())
        lacking = [name for name in names if not (check.environ.get(name) or check.environ.get(f"{name}_FILE"))]
        yield from _missing(check, ("broker", "type"), lacking)


def _nobody_commands(check: Check) -> Iterator[Problem]:
    named = any(check.environ.get(name) for name in ("TELEGRAM_USER_IDS", "TELEGRAM_USER_IDS_FILE"))
    if not named and all(check.facts.flag("notifications", "telegram", one) for one in ("enabled", "commands")):
        path = ("notifications", "telegram", "commands")
        message = "nobody may command: the environment names no user in TELEGRAM_USER_IDS"
        yield check.source.problem(path, message, severity=WARNING)


def _lacks(check: Check, notifier: str) -> list[str]:
    section = check.facts.members("notifications", notifier)
    given = [key for key, value in section.items() if value]
    return missing_names(notifier, check.environ, given, logs_in=section.get("security") != "none")


def _missing(check: Check, path: Path, names: list[str]) -> Iterator[Problem]:
    if names:
        message = f"needs {', '.join(names)}, which the environment does not hold"
        yield check.source.problem(path, message, severity=WARNING)


def mail_server(check: Check) -> Iterator[Problem]:
    """What is told by mail is nobody else's business: without TLS only to a server on this machine."""
    host = check.facts.text("notifications", "email", "host")
    if check.facts.text("notifications", "email", "security") == "none" and host and host not in _LOOPBACK:
        message = f"no mail goes to {host} without TLS"
        path = ("notifications", "email", "security")
        yield check.source.problem(path, message, expected="starttls, or tls")

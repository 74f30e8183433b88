"""What a config must mean, rule by rule: each broken config is told at its exact place."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trading.config.config_texts import REMOVED, check, only, pair_config, place, single_config, text_of
from trading.config.report import Problem

KEYS = {"TELEGRAM_BOT_TOKEN": "t", "TELEGRAM_CHAT_ID": "c", "BINANCE_API_KEY": "k", "BINANCE_API_SECRET": "s"}
LIVE: dict[str, Any] = {
    "broker.type": "binance",
    "data.data_source": "binance",
    "broker.capital": 10000.0,
    "broker.initial_balance": REMOVED,
    "data.market_info": {symbol: {"min_notional": 5.0} for symbol in ("ETHUSDT", "BTC/USDT", "LTCUSDT", "BCHUSDT")},
}
PAIR_C = {"pair_id": "SOL_ETH", "leg_a": "SOL/USDT", "leg_b": "ETHUSDT", "hedge_ratio": 0.5}


def _is_told(values: dict[str, Any], marked: str, path: str, words: str, severity: str = "error") -> Problem:
    problem = only(check(values, **KEYS))
    assert (problem.path, problem.severity) == (path, severity)
    assert words in problem.message
    assert (problem.line, problem.column) == place(text_of(values), marked)
    return problem


def test_the_configs_that_are_broken_below_are_good() -> None:
    assert check(pair_config()).problems == ()
    assert check(single_config()).problems == ()
    assert check(pair_config(LIVE), **KEYS).problems == ()


FORM: list[tuple[dict[str, Any], str, str, str]] = [
    ({"trading.max_drawdwon_pct": 20.0}, '|"max_drawdwon_pct"', "trading.max_drawdwon_pct", "no such key"),
    ({"tradign": {}}, '|"tradign"', "tradign", "no such key"),
    ({"broker.initial_balance": True}, '"initial_balance": |true', "broker.initial_balance", "wrong kind"),
    ({"broker.initial_balance": "1000"}, '"initial_balance": |"1000"', "broker.initial_balance", "wrong kind"),
    ({"data.lookback_bars": 500.0}, '"lookback_bars": |500.0', "data.lookback_bars", "wrong kind"),
    ({"broker.allow_shared_symbols": 1}, '"allow_shared_symbols": |1', "broker.allow_shared_symbols", "wrong kind"),
    ({"broker.type": "binanse"}, '"type": |"binanse"', "broker.type", "not one of the words"),
    ({"data.interval": "60m"}, '"interval": |"60m"', "data.interval", "not one of the words"),
    ({"broker.commission": -0.1}, '"commission": |-0.1', "broker.commission", "out of bounds"),
    ({"trading.max_drawdown_pct": 150}, '"max_drawdown_pct": |150', "trading.max_drawdown_pct", "out of bounds"),
    ({"pairs.1.hedge_ratio": 0}, '"hedge_ratio": |0\n', "pairs[1].hedge_ratio", "out of bounds"),
    ({"pairs.1.hedge_ratio": -0.9}, '"hedge_ratio": |-0.9', "pairs[1].hedge_ratio", "out of bounds"),
    ({"pairs.0.leg_a": "ETH USDT"}, '"leg_a": |"ETH USDT"', "pairs[0].leg_a", "not written as"),
    ({"execution.order_type": "stop"}, '"order_type": |"stop"', "execution.order_type", "not one of the words"),
    ({"mock.speed": 0}, '"speed": |0', "mock.speed", "is no speed"),
    ({"trading.max_pair_exposure": 0}, '"max_pair_exposure": |0', "trading.max_pair_exposure", "out of bounds"),
    ({"risk_management.max_stops_per_pair": 0}, '"max_stops_per_pair": |0', "risk_management.max_stops_per_pair",
     "out of bounds"),
    ({"risk_management.max_stop_per_pair": 2}, '|"max_stop_per_pair"', "risk_management.max_stop_per_pair",
     "no such key"),
    ({"risk_management.min_liquidation_distance_pct": 101}, '"min_liquidation_distance_pct": |101',
     "risk_management.min_liquidation_distance_pct", "out of bounds"),
    ({"risk_management.max_failed_orders": 2.5}, '"max_failed_orders": |2.5', "risk_management.max_failed_orders",
     "wrong kind"),
    ({"broker": REMOVED}, "|{\n", "broker", "is missing"),
    ({"pairs": []}, '"pairs": |[]', "pairs", "is empty"),
    ({"risk_management.trailing_stop": 5}, '"trailing_stop": |5', "risk_management.trailing_stop", "wrong kind"),
    ({"pairs.0.formation_start": "Monday", "pairs.0.formation_end": "2024-01-01"}, '"formation_start": |"Monday"',
     "pairs[0].formation_start", "is no time"),
    ({"broker.exchange_url": "ftp://x"}, '"exchange_url": |"ftp://x"', "broker.exchange_url", "not written as"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "marked", "path", "words"), FORM, ids=[case[2] + " " + case[3] for case in FORM])
def test_values_of_the_wrong_form_are_refused(changes: dict[str, Any], marked: str, path: str, words: str) -> None:
    values = pair_config(changes)
    problems = [problem for problem in check(values).problems if problem.path == path]
    assert len(problems) == 1, check(values).text()
    assert words in problems[0].message
    expected = (1, 1) if marked == "|{\n" else place(text_of(values), marked)
    assert (problems[0].line, problems[0].column) == expected


@pytest.mark.parametrize(
    ("changes", "path", "suggestion"),
    [
        ({"trading.max_drawdwon_pct": 20.0}, "trading.max_drawdwon_pct", "max_drawdown_pct"),
        ({"broker.type": "binanse"}, "broker.type", "binance"),
        ({"data.interval": "1hr"}, "data.interval", "1h"),
        ({"strategy.entry_logic.name": "ZscoreEntryMixim"}, "strategy.entry_logic.name", "ZScoreEntryMixin"),
        ({"strategy.entry_logic.params.e_windw": 5}, "strategy.entry_logic.params.e_windw", "e_window"),
        ({"strategy.exit_logic.params.x_statistics": "frosen"}, "strategy.exit_logic.params.x_statistics", "frozen"),
    ],
)
def test_words_that_are_nearly_right_get_a_suggestion(changes: dict[str, Any], path: str, suggestion: str) -> None:
    told = {problem.path: problem.suggestion for problem in check(pair_config(changes)).problems}
    assert told[path] == suggestion


ERRORS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"pairs.0.leg_b": "ETHUSDT"}, '"leg_b": |"ETHUSDT"', "pairs[0].leg_b", "both legs are the same symbol"),
    ({"pairs.0.leg_b": "BTC/USDC"}, '"leg_b": |"BTC/USDC"', "pairs[0].leg_b", "different quote currencies"),
    ({"pairs.1.pair_id": "ETH_BTC"}, '|"ETH_BTC",\n      "leg_a": "LTC/USDT"', "pairs[1].pair_id", "another pair"),
    ({"strategy.entry_logic.params.e_entry_z": 0.5}, '"e_entry_z": |0.5', "strategy.entry_logic.params.e_entry_z",
     "the entry is not above the exit"),
    ({"strategy.exit_logic.params.x_stop_z": 2.0}, '"x_stop_z": |2.0', "strategy.exit_logic.params.x_stop_z",
     "the stop is not above the entry"),
    ({"pairs.0.z_score_threshold": 0.4}, '"z_score_threshold": |0.4', "pairs[0].z_score_threshold",
     "the entry is not above the exit"),
    ({"pairs.0.z_score_threshold": 5.0}, '"z_score_threshold": |5.0', "pairs[0].z_score_threshold",
     "the entry is not below the stop"),
    ({"pairs.0.stop_loss_z": 1.5}, '"stop_loss_z": |1.5', "pairs[0].stop_loss_z", "the stop is not above the entry"),
    ({"strategy.entry_logic.params.e_window": 17, "strategy.entry_logic.params.e_statistics_window": "inclusive",
      "strategy.entry_logic.params.e_ddof": 0}, '"x_stop_z": |4.0', "strategy.exit_logic.params.x_stop_z",
     "never exceeds 4"),
    ({"strategy.entry_logic.params.e_window": 18, "strategy.entry_logic.params.e_statistics_window": "inclusive",
      "pairs.1.stop_loss_z": 4.1}, '"stop_loss_z": |4.1', "pairs[1].stop_loss_z", "can never be reached"),
    ({"strategy.entry_logic.params.e_window": 500}, '"e_window": |500', "strategy.entry_logic.params.e_window",
     "needs 501 bars before the first answer, and the history has 500"),
    ({"pairs.0.hedge_ratio": REMOVED, "pairs.0.hedge": {"method": "ols", "window": 501}}, '"window": |501',
     "pairs[0].hedge.window", "needs 501 bars"),
    ({"data.lookback_bars": 2000}, '"lookback_bars": |2000', "data.lookback_bars", "leaves no bar to trade"),
    ({"execution.order_type": "limit", "execution.limit_timeout_s": 30}, '"limit_timeout_s": |30',
     "execution.limit_timeout_s", "longer than execution.max_unhedged_s, 30"),
    ({"broker.market": "spot"}, '"market": |"spot"', "broker.market", "a spot market cannot"),
    ({"trading.symbol": "ETHUSDT"}, '|"symbol"', "trading.symbol", "stands beside pairs"),
    ({"data.symbol": "ETHUSDT"}, '|"symbol"', "data.symbol", "stands beside pairs"),
    ({"pairs.0.hedge": {"method": "tls"}}, '"hedge_ratio": |0.85', "pairs[0].hedge_ratio", "beside the hedge method"),
    ({"pairs.0.hedge_ratio": REMOVED}, '"pairs": [\n    |{', "pairs[0].hedge_ratio", "has no hedge ratio"),
    ({"pairs.0.z_score_threshold": 2.0, "pairs.0.entry_threshold": 2.5}, '"entry_threshold": |2.5',
     "pairs[0].entry_threshold", "z_score_threshold says another value"),
    ({"pairs.0.prices": "log", "pairs.0.hedge": {"method": "fixed", "prices": "level"}}, '"prices": |"log"',
     "pairs[0].prices", "says other prices"),
    ({"pairs.0.formation_start": "2024-02-01", "pairs.0.formation_end": "2024-01-01T00:00:00Z"},
     '"formation_end": |"2024', "pairs[0].formation_end", "ends before it starts"),
    ({"pairs.0.formation_start": "2024-02-01"}, '"pairs": [\n    |{', "pairs[0].formation_end", "only one end"),
    ({"strategy.position_size": 0.05}, '"position_size": |0.05', "strategy.position_size", "says another value"),
    ({"strategy.sizing": {"risk_per_trade": 0.02}, "execution.risk_per_trade": 0.01},
     '"sizing": {\n      "risk_per_trade": |0.02', "strategy.sizing.risk_per_trade", "says another value"),
    ({"risk.backtest_rearm": True, "risk_management.backtest_rearm": False}, '"backtest_rearm": |true',
     "risk.backtest_rearm", "says another value"),
    ({"signal.entry_threshold": 2.5}, '"entry_threshold": |2.5', "signal.entry_threshold", "than e_entry_z"),
    ({"signal.use_kalman_filter": False, "strategy.hedge": {"method": "kalman"}, "pairs.0.hedge_ratio": REMOVED,
      "pairs.1.hedge_ratio": REMOVED}, '"use_kalman_filter": |false', "signal.use_kalman_filter", "does not agree"),
    ({"trading.position_size": 0.00213}, '"position_size": |0.00213', "trading.position_size", "under its minimum 10"),
    ({"data.market_info": {"BCH/USDT:USDT": {"min_notional": 500.0}}}, '"position_size": |0.1',
     "trading.position_size", "the leg BCHUSDT would be 473.68, under its minimum 500"),
    ({"trading.position_size": 1.5, "execution.max_position_size": 2.0}, '"position_size": |1.5',
     "trading.position_size", "no entry would pass"),
    ({"trading.max_pair_exposure": 0.05}, '"position_size": |0.1', "trading.position_size",
     "above trading.max_pair_exposure; no entry would pass"),
    ({"trading.position_size": 1.5, "execution.max_position_size": 2.0, "trading.max_exposure": 2.0,
      "risk_management.min_liquidation_distance_pct": 70.0}, '"min_liquidation_distance_pct": |70.0',
     "risk_management.min_liquidation_distance_pct", "stands 66.2 % from liquidation; no entry would pass"),
    ({"broker.account": {"position_mode": "hedge"}}, '"position_mode": |"hedge"', "broker.account.position_mode",
     "refuses one-way orders"),
    ({"broker.account": {"leverage": 3}}, '"leverage": |3', "broker.account.leverage", "above risk_management"),
    ({"strategy.entry_logic.name": "NoSuchMixin"}, '"name": |"NoSuchMixin"', "strategy.entry_logic.name",
     "there is no entry rule of this name"),
    ({"strategy.entry_logic": {"name": "ZScoreExitMixin"}}, '"entry_logic": {\n      "name": |"ZScoreExitMixin"',
     "strategy.entry_logic.name", "this is an exit rule"),
    ({"strategy.entry_logic": {"name": "RSIBBEntryMixin"}}, '"name": |"RSIBBEntryMixin"', "strategy.entry_logic.name",
     "reads the bars of one symbol"),
    ({"strategy.entry_logic.name": "subprocess:Popen"}, '"name": |"subprocess:Popen"', "strategy.entry_logic.name",
     "not in the standard library"),
    ({"strategy.entry_logic.name": "no_such_module:Rule"}, '"name": |"no_such_module:Rule"',
     "strategy.entry_logic.name", "importing no_such_module failed"),
    ({"strategy.entry_logic.params.e_window": True}, '"e_window": |true', "strategy.entry_logic.params.e_window",
     "wrong kind"),
    ({"strategy.entry_logic.params.e_window": 100.5}, '"e_window": |100.5', "strategy.entry_logic.params.e_window",
     "wrong kind"),
    ({"strategy.entry_logic.params.e_window": 1}, '"e_window": |1', "strategy.entry_logic.params.e_window",
     "out of bounds"),
    ({"strategy.exit_logic.params.x_statistics": "both"}, '"x_statistics": |"both"',
     "strategy.exit_logic.params.x_statistics", "not one of the choices"),
    ({"strategy.exit_logic.params.window": 5}, '|"window"', "strategy.exit_logic.params.window", "no such key"),
    ({"logging.log_file": "/var/log/bot.log"}, '"log_file": |"/var', "logging.log_file", "leaves the working"),
    ({"logging.json_dir": "logs/../../x"}, '"json_dir": |"logs', "logging.json_dir", "leaves the working"),
    ({"logging.error_file": "C:\\x.log"}, '"error_file": |"C', "logging.error_file", "leaves the working"),
    ({"state.dir": "~/state"}, '"dir": |"~', "state.dir", "leaves the working"),
    ({"logging.log_file": "logs/"}, '"log_file": |"logs/"', "logging.log_file", "names a folder"),
    ({"broker.api_key": "abc"}, '|"api_key"', "broker.api_key", "a secret stands in the config"),
    ({"broker.apiSecret": "abc"}, '|"apiSecret"', "broker.apiSecret", "a secret stands in the config"),
    ({"description": "aB3" + "x" * 61}, '"description": |"aB3', "description", "looks like a secret"),
    ({"broker.exchange_url": "https://a:b@host/"}, '"exchange_url": |"https', "broker.exchange_url", "holds no login"),
    ({"broker.exchange_url": "http://example.com"}, '"exchange_url": |"http', "broker.exchange_url", "this machine"),
    ({"broker.exchange_url": "https://127.0.0.1:1"}, '"exchange_url": |"http', "broker.exchange_url", "broker.ca_file"),
    ({"broker.exchange_url": "http://127.0.0.1:abc"}, '"exchange_url": |"http', "broker.exchange_url", "nothing more"),
    ({"broker.exchange_url": "http://127.0.0.1:1", "broker.ca_file": "ca.pem"}, '"exchange_url": |"http',
     "broker.exchange_url", "belong together"),
    ({"broker.exchange_url": "https://127.0.0.1:1", "broker.ca_file": "no.pem"}, '"ca_file": |"no.pem"',
     "broker.ca_file", "the CA file no.pem cannot be read"),
    ({"broker.ca_file": "ca.pem"}, '|"ca_file"', "broker.ca_file", "https exchange_url only"),
    ({"broker.faults": [{"kind": "reject"}]}, '"faults": [\n      |{', "broker.faults[0]", "at a call or at a rate"),
    ({"broker.faults": [{"kind": "reject", "at": 1, "symbol": "XYZ/USDT"}]}, '"symbol": |"XYZ/USDT"',
     "broker.faults[0].symbol", "is not traded here: the fault would never strike"),
    ({"broker.faults": [{"kind": "reject", "at": 1, "fill_ratio": 0.5}]}, '|"fill_ratio"',
     "broker.faults[0].fill_ratio", "only a partial_fill"),
    ({"broker.faults": [{"kind": "overfill", "on": "cancel_order", "at": 1}]}, '|"on"', "broker.faults[0].on",
     "cannot happen on"),
    ({"mock.symbols": ["ETHUSDT", "BTCUSDT", "LTCUSDT"]}, '"symbols": |[', "mock.symbols", "lacks BCHUSDT"),
    ({"pairs_file": "more.json"}, '|"pairs_file"', "pairs_file", "pairs stand in the config too"),
    ({"pairs": REMOVED}, "|{\n", "pairs", "a pair strategy needs pairs"),
    ({"pairs": REMOVED, "pairs_file": "no/such.json"}, '"pairs_file": |"no/such.json"', "pairs_file", "no file"),
    ({**LIVE, "broker.faults": [{"kind": "reject", "at": 1}]}, '|"faults"', "broker.faults", "for the simulated"),
    ({**LIVE, "risk_management": REMOVED}, "|{\n", "risk_management", "needs its risk limits"),
    ({**LIVE, "pairs.2": PAIR_C, "data.market_info.SOLUSDT": {}}, '"leg_b": |"ETHUSDT"', "pairs[2].leg_b",
     "ETHUSDT is a leg of ETH_BTC too"),
    ({**LIVE, "data.data_source": "replay"}, '"data_source": |"replay"', "data.data_source", "the venue's own data"),
    ({**LIVE, "broker.exchange_url": "http://[::1]:1", "broker.testnet": True}, '"exchange_url": |"http',
     "broker.exchange_url", "stands beside testnet"),
    ({**LIVE, "broker.testnet": True, "broker.use_testnet": False}, '"use_testnet": |false', "broker.use_testnet",
     "says another value"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "marked", "path", "words"), ERRORS, ids=[f"{c[2]} {c[3]}" for c in ERRORS])
def test_what_cannot_be_meant_is_refused(changes: dict[str, Any], marked: str, path: str, words: str) -> None:
    values = pair_config(changes)
    if marked == "|{\n":
        problem = only(check(values, **KEYS))
        assert (problem.path, problem.line, problem.column) == (path, 1, 1)
        assert words in problem.message
    else:
        _is_told(values, marked, path, words)


SINGLE_ERRORS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"data.symbol": "ETHUSDT"}, '"symbol": |"ETHUSDT"', "data.symbol", "trading.symbol says another symbol"),
    ({"strategy.entry_logic.name": "ZScoreEntryMixin", "strategy.entry_logic.params": {}},
     '"name": |"ZScoreEntryMixin"', "strategy.entry_logic.name", "reads the spread of a pair"),
    ({"strategy.entry_logic.params.e_rsi_period": 200}, '"name": "RSIBBEntryMixin",\n      "params": |{',
     "strategy.entry_logic.params", "before the first answer, and the history has 200"),
    ({"broker.initial_balance": 90.0}, '"symbol": "BTCUSDT",\n    "position_size": |0.1', "trading.position_size",
     "the position would be 9.00, under its minimum 10"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "marked", "path", "words"), SINGLE_ERRORS, ids=[f"{c[2]} {c[3]}" for c in SINGLE_ERRORS]
)
def test_what_one_symbol_cannot_mean_is_refused(changes: dict[str, Any], marked: str, path: str, words: str) -> None:
    _is_told(single_config(changes), marked, path, words)


WARNINGS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"trading.max_drawdown_pct": 0.2}, '"max_drawdown_pct": |0.2', "trading.max_drawdown_pct", "a fraction"),
    ({"risk_management.stop_loss_pct": 0.5}, '"stop_loss_pct": |0.5', "risk_management.stop_loss_pct", "a fraction"),
    ({"pairs.2": PAIR_C}, '"leg_b": |"ETHUSDT"', "pairs[2].leg_b", "ETHUSDT is a leg of ETH_BTC too; live this is"),
    ({"broker.capital": 500.0}, '|"capital"', "broker.capital", "is a simulation"),
    ({"broker.testnet": True}, '|"testnet"', "broker.testnet", "is a simulation"),
    ({"trading.position_size": 0.3}, '"position_size": |0.3', "trading.position_size", "execution.max_position_size"),
    ({"pairs.0.interval": "4h"}, '"interval": |"4h"', "pairs[0].interval", "found on other bars"),
    ({"strategy.exit_logic": {"name": "ATRExitMixin"}, "signal.exit_threshold": 0.5}, '|"exit_threshold"',
     "signal.exit_threshold", "has no effect"),
    ({"risk_management.trailing_stop": {"enabled": True, "activation_pct": 1.5, "trailing_pct": 3.0}},
     '"trailing_pct": |3.0', "risk_management.trailing_stop.trailing_pct", "may close at a loss"),
    ({"risk_management.quarantine_hours": 12.0}, '|"quarantine_hours"', "risk_management.quarantine_hours",
     "has no effect without max_stops_per_pair"),
    ({"execution.order_type": "limit"}, '"order_type": |"limit"', "execution.order_type", "fills at the next bar's"),
    ({"execution.limit_timeout_s": 5}, '|"limit_timeout_s"', "execution.limit_timeout_s", "order_type is market"),
    ({"execution.slice_notional": 99.0}, '"slice_notional": |99.0', "execution.slice_notional", "would be 11 slices"),
    ({**LIVE, "data.market_info": {}}, '"market_info": |{', "data.market_info", "no filters are known for ETHUSDT"),
    ({**LIVE, "broker.initial_balance": 5.0}, '|"initial_balance"', "broker.initial_balance", "for simulation only"),
    ({"notifications": {"enabled": True, "email": {"enabled": True}}}, '"email": {\n      "enabled": |true',
     "notifications.email.enabled", "needs SMTP_HOST, SMTP_USER, SMTP_PASSWORD"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "marked", "path", "words"), WARNINGS, ids=[f"{c[2]} {c[3]}" for c in WARNINGS])
def test_what_is_suspicious_is_warned_of(changes: dict[str, Any], marked: str, path: str, words: str) -> None:
    values = pair_config(changes)
    problems = [each for each in check(values, **KEYS).problems if each.path == path]
    assert check(values, **KEYS).ok
    assert [(each.severity, each.line, each.column) for each in problems] == [
        ("warning", *place(text_of(values), marked))
    ]
    assert words in problems[0].message


def test_unknown_rules_list_those_that_exist() -> None:
    problem = only(check(pair_config({"strategy.exit_logic": {"name": "Nothing"}})))
    assert "ATRExitMixin, FixedRatioExitMixin, RSIBBExitMixin" in str(problem.expected)


def test_secrets_are_never_shown() -> None:
    key = "aB3" + "x" * 61
    report = check(pair_config({"broker.api_key": "hunter2", "description": key, "trading.on_stale": key}))
    assert not report.ok
    assert "hunter2" not in report.text() and key[:20] not in report.text()


def test_shared_symbols_may_be_allowed() -> None:
    pairs = [*pair_config()["pairs"], PAIR_C]
    live = pair_config({**LIVE, "pairs": pairs, "broker.allow_shared_symbols": True, "data.market_info.SOLUSDT": {}})
    assert check(live, **KEYS).problems == ()
    assert check(pair_config({"pairs": pairs, "broker.allow_shared_symbols": True})).problems == ()


def test_missing_keys_of_a_live_venue_and_of_notifiers_are_warnings() -> None:
    values = pair_config({**LIVE, "notifications": {"enabled": True, "telegram": {"enabled": True}}})
    assert [(each.path, each.severity) for each in check(values).problems] == [
        ("broker.type", "warning"),
        ("notifications.telegram.enabled", "warning"),
    ]


def test_rules_of_meaning_run_though_other_values_are_wrong() -> None:
    values = pair_config({"broker.type": 5, "trading": "x", "pairs.0.leg_b": "ETHUSDT", "data.interval": None})
    assert {problem.path for problem in check(values).errors} == {
        "broker.type",
        "trading",
        "data.interval",
        "pairs[0].leg_b",
    }


def test_an_empty_object_is_refused() -> None:
    assert {problem.path for problem in check("{}").errors} >= {"broker", "data", "strategy"}


def test_numbers_that_are_none_are_told_once() -> None:
    text = text_of(pair_config({"broker.commission": 0.123})).replace("0.123", "NaN")
    problem = only(check(text))
    assert (problem.path, problem.found) == ("broker.commission", "NaN")
    assert (problem.line, problem.column) == place(text, '"commission": |NaN')


def test_a_speed_at_which_orders_miss_their_bar_is_a_warning() -> None:
    values = {**pair_config({"data.interval": "1m", "mock.speed": 3600})}
    _is_told(values, '"speed": |3600', "mock.speed", "a bar would last 16.7 ms", "warning")


@pytest.mark.parametrize("name", ["config/trading/0001.json", "state/0001_mock.journal.sqlite"])
def test_a_log_is_not_written_over_a_file_of_another_kind(name: str) -> None:
    problem = only(check(pair_config({"logging.log_file": name}), **KEYS))
    assert (problem.path, problem.severity) == ("logging.log_file", "error")
    assert "another kind" in problem.message


def test_two_logs_do_not_share_a_file() -> None:
    problem = only(check(pair_config({"logging.log_file": "logs/./x.log", "logging.error_file": "logs/x.log"}), **KEYS))
    assert (problem.path, problem.severity) == ("logging.error_file", "error")
    assert "logging.log_file already" in problem.message


def test_commands_that_nobody_may_give_are_warned_of() -> None:
    values = pair_config({"notifications.enabled": True, "notifications.telegram": {"enabled": True, "commands": True}})
    problem = only(check(values, **KEYS))
    assert problem.path == "notifications.telegram.commands" and problem.severity == "warning"
    assert "TELEGRAM_USER_IDS" in problem.message
    assert check(values, **KEYS, TELEGRAM_USER_IDS="1001").problems == ()
    assert check(values, **KEYS, TELEGRAM_USER_IDS_FILE="/run/ids").problems == ()

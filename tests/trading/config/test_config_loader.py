"""Loading: one frozen value of file, environment and command line, or every reason why not."""

from __future__ import annotations

import json
import math
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pairs.words import HedgeSpec, Pair
from tests.trading.config.config_texts import REMOVED, pair_config, single_config, text_of
from trading.config.loader import ConfigError, load_config
from trading.config.model import LoadedConfig

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _load(
    folder: Path, values: dict[str, Any], overrides: dict[str, Any] | None = None, **environ: str
) -> LoadedConfig:
    (folder / "bot.json").write_text(text_of(values))
    return load_config(folder / "bot.json", environ=environ, overrides=overrides, dotenv=folder / ".env")


def _refused(folder: Path, values: dict[str, Any], **environ: str) -> str:
    with pytest.raises(ConfigError) as error:
        _load(folder, values, **environ)
    assert not error.value.report.ok
    return str(error.value)


def test_a_pair_config_becomes_pairs_in_compact_symbols(folder: Path) -> None:
    times = {"formation_start": "2024-01-01T00:00:00Z", "formation_end": "2024-03-01T02:00:00+02:00"}
    own = {"z_score_threshold": 2.5, "stop_loss_z": 5.0, "half_life_candles": 24, "intercept": 1.5, **times}
    pair = {**pair_config()["pairs"][0], **own}
    loaded = _load(folder, pair_config({"pairs.0": pair}))
    assert loaded.pairs[0] == Pair(
        pair_id="ETH_BTC",
        leg_a="ETHUSDT",
        leg_b="BTCUSDT",
        hedge=HedgeSpec(method="fixed", prices="log", ratio=0.85, intercept=1.5),
        entry_z=2.5,
        stop_z=5.0,
        half_life_bars=24.0,
        formation_start=datetime(2024, 1, 1, tzinfo=UTC),
        formation_end=datetime(2024, 3, 1, tzinfo=UTC),
    )
    assert loaded.symbols == ("ETHUSDT", "BTCUSDT", "LTCUSDT", "BCHUSDT")
    assert (loaded.name, loaded.bot_id, loaded.model.market) == ("bot.json", "bot", "usdm")


def test_a_one_symbol_config_is_a_pair_with_a_single_leg(folder: Path) -> None:
    loaded = _load(folder, single_config())
    assert loaded.pairs == (Pair("BTCUSDT", "BTCUSDT", None),)
    assert (loaded.model.market, loaded.model.position_size) == ("spot", 0.1)


def test_the_hedge_of_the_strategy_serves_pairs_without_their_own(folder: Path) -> None:
    changes = {
        "strategy.hedge": {"method": "ols", "prices": "level", "window": 300, "refit_every": 12},
        "pairs.0.hedge_ratio": REMOVED,
        "pairs.1": {"pair_id": "X", "leg_a": "LTCUSDT", "leg_b": "BCHUSDT", "hedge": {"method": "kalman"}},
    }
    first, second = _load(folder, pair_config(changes)).pairs
    assert first.hedge == HedgeSpec("ols", "level", 300, 12)
    assert second.hedge == HedgeSpec("kalman", "level", 500, 24)


def test_the_kalman_filter_can_be_asked_for_by_the_signal_section(folder: Path) -> None:
    pairs = [{"pair_id": "X", "leg_a": "LTCUSDT", "leg_b": "BCHUSDT"}]
    loaded = _load(folder, pair_config({"pairs": pairs, "signal.use_kalman_filter": True}))
    assert loaded.pairs[0].hedge.method == "kalman"


def test_rules_are_specs_with_frozen_parameters_that_pickle(folder: Path) -> None:
    loaded = _load(folder, pair_config({"strategy.entry_logic.params.e_entry_z": 3}))
    assert loaded.entry.name == "ZScoreEntryMixin" == loaded.entry.rule.__name__
    assert loaded.entry.params == loaded.entry.rule.Params(e_window=100, e_entry_z=3.0)  # type: ignore[attr-defined]
    assert isinstance(loaded.entry.params.e_entry_z, float)
    assert pickle.loads(pickle.dumps(loaded.exit)) == loaded.exit


def test_the_signal_section_speaks_for_parameters_that_are_silent(folder: Path) -> None:
    signal = {"entry_threshold": 2.5, "exit_threshold": 0.25, "stop_loss_threshold": 5.0, "lookback_bars": 60}
    changes = {"signal": signal, "strategy.entry_logic.params": {}, "strategy.exit_logic.params": {}}
    loaded = _load(folder, pair_config(changes))
    assert (loaded.entry.params.e_entry_z, loaded.entry.params.e_window) == (2.5, 60)
    assert (loaded.exit.params.x_exit_z, loaded.exit.params.x_stop_z) == (0.25, 5.0)


def test_a_rule_of_the_users_own_is_found_by_its_dotted_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "rules_of_mine.py").write_text(
        "from dataclasses import dataclass, field\n"
        "from mixins.base import EntryMixin\n"
        "@dataclass(frozen=True)\n"
        "class Params:\n"
        "    e_limit: float = field(default=1.0, metadata={'min': 0.0, 'max': 2.0})\n"
        "class MyEntryMixin(EntryMixin):\n"
        "    Params = Params\n"
        "    market = 'pair'\n"
        "    def decide(self):\n"
        "        return None\n"
    )
    monkeypatch.syspath_prepend(str(folder))
    rule = {"name": "rules_of_mine:MyEntryMixin", "params": {"e_limit": 2}}
    assert _load(folder, pair_config({"strategy.entry_logic": rule})).entry.params.e_limit == 2.0
    rule = {"name": "rules_of_mine:MyEntryMixin", "params": {"e_limit": 3}}
    assert "e_limit is out of bounds" in _refused(folder, pair_config({"strategy.entry_logic": rule}))


def test_defaults_then_file_then_environment_then_command_line(folder: Path) -> None:
    values = pair_config({"trading.max_positions": REMOVED})
    assert _load(folder, values).model.trading.max_positions == 5
    values = pair_config({"trading.max_positions": 6})
    assert _load(folder, values).model.trading.max_positions == 6
    environ = {"TANDEM__TRADING__MAX_POSITIONS": "7"}
    assert _load(folder, values, **environ).model.trading.max_positions == 7
    overrides = {"trading.max_positions": 8}
    assert _load(folder, values, overrides, **environ).model.trading.max_positions == 8


def test_overrides_reach_list_items_parameters_and_absent_sections(folder: Path) -> None:
    loaded = _load(
        folder,
        pair_config(),
        {"data": {"dir": "bars"}, "state.dir": "elsewhere"},
        TANDEM__PAIRS__1__HEDGE_RATIO="0.5",
        TANDEM__STRATEGY__ENTRY_LOGIC__PARAMS__E_WINDOW="50",
        TANDEM__COINTEGRATION__TOP_N_PAIRS="3",
        TANDEM__MOCK__SPEED="max",
        TANDEM__DATA__MARKET_INFO='{"ETHUSDT": {"tick": 0.01}}',
    )
    assert loaded.pairs[1].hedge.ratio == 0.5
    assert loaded.entry.params.e_window == 50
    assert loaded.model.cointegration.top_n_pairs == 3
    assert (loaded.model.mock.speed, loaded.model.data.dir, loaded.model.state.dir) == (math.inf, "bars", "elsewhere")
    assert loaded.model.data.market_info["ETHUSDT"].tick == 0.01


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TANDEM__TRADING__MAX_POSITION", "7", "TANDEM__TRADING__MAX_POSITION: there is no such key"),
        ("TANDEM__NO_SUCH__KEY", "7", "TANDEM__NO_SUCH__KEY: there is no such key"),
        ("TANDEM__TRADING__MAX_POSITIONS", "NaN", "TANDEM__TRADING__MAX_POSITIONS: is of the wrong kind"),
        ("TANDEM__BROKER__TYPE", "mok", "did you mean mock?"),
        ("TANDEM__PAIRS__9__HEDGE_RATIO", "1", "TANDEM__PAIRS__9__HEDGE_RATIO: there is no such place"),
        ("TANDEM__VERSION__X", "1", "TANDEM__VERSION__X: there is no such place"),
        ("TANDEM__STRATEGY__EXIT_LOGIC__PARAMS__X_STOP_Z", "1", "the stop is not above the entry"),
        ("TANDEM__", "1", "TANDEM__: there is no such key"),
    ],
)
def test_a_wrong_override_is_told_by_its_variable(folder: Path, name: str, value: str, words: str) -> None:
    text = _refused(folder, pair_config(), **{name: value})
    assert words in text and text.startswith("environment: error: ") and name in text


def test_wrong_values_of_the_command_line_are_told_as_such(folder: Path) -> None:
    with pytest.raises(ConfigError, match="command line: error: data.dir: data.dir: is of the wrong kind"):
        _load(folder, pair_config(), {"data.dir": 5})


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"TRADING_MODE": "live"}, "TRADING_MODE=live clashes with broker.type, which is mock"),
        ({"EXECUTION_MODE": "live"}, "EXECUTION_MODE=live clashes with broker.type, which is mock"),
        ({"TRADING_MODE": "lve"}, "is no known mode"),
        ({"DRY_RUN": "false"}, "DRY_RUN=false clashes with broker.type, which is mock"),
        ({"DRY_RUN": "perhaps"}, "is neither true nor false"),
        ({"MAX_POSITIONS": "6"}, "MAX_POSITIONS=6 would loosen trading.max_positions, 5"),
        ({"MAX_DRAWDOWN_PCT": "25"}, "would loosen trading.max_drawdown_pct, 20"),
        ({"DAILY_LOSS_LIMIT_PCT": "3"}, "would loosen risk_management.max_daily_loss_pct, 2"),
        ({"MAX_POSITIONS": "many"}, "MAX_POSITIONS: is of the wrong kind"),
        ({"MAX_POSITIONS": "0"}, "MAX_POSITIONS: is out of bounds"),
    ],
)
def test_the_older_names_never_loosen_a_run(folder: Path, environ: dict[str, str], words: str) -> None:
    assert words in _refused(folder, pair_config(), **environ)


LIVE: dict[str, Any] = {"broker.type": "binance", "data.data_source": "binance"}


@pytest.mark.parametrize(
    ("changes", "environ"),
    [
        ({}, {"TRADING_MODE": "paper"}),
        ({}, {"DRY_RUN": "true"}),
        ({**LIVE, "broker.testnet": True}, {"EXECUTION_MODE": "live"}),
    ],
)
def test_paper_by_the_environment_and_live_by_the_file_is_a_clash(
    folder: Path, changes: dict[str, Any], environ: dict[str, str]
) -> None:
    assert "clashes with broker.type, which is binance" in _refused(folder, pair_config({**LIVE, **changes}), **environ)


def test_the_older_names_agree_with_what_the_file_says_anyway(folder: Path) -> None:
    _load(folder, pair_config(), TRADING_MODE="paper", EXECUTION_MODE="paper", DRY_RUN="true", MAX_POSITIONS="5")
    _load(folder, pair_config(LIVE), TRADING_MODE="live", EXECUTION_MODE="live", DRY_RUN="false")
    _load(folder, pair_config({**LIVE, "broker.testnet": True}), EXECUTION_MODE="demo")


def test_the_older_names_tighten_limits_also_from_the_dotenv_file(folder: Path) -> None:
    (folder / ".env").write_text('MAX_POSITIONS=2\nMAX_DRAWDOWN_PCT="10.0"\nDAILY_LOSS_LIMIT_PCT=1\n')
    model = _load(folder, pair_config(), MAX_POSITIONS="3").model
    assert (model.trading.max_positions, model.trading.max_drawdown_pct) == (3, 10.0)
    assert model.risk_management.max_daily_loss_pct == 1.0


PAIRS_FILE = {
    "pairs": [
        {
            "pair_id": "1000CAT_1MBABYDOGE",
            "leg_a": "1000CAT/USDT",
            "leg_b": "1MBABYDOGE/USDT",
            "hedge_ratio": 0.7387,
            "z_score_threshold": 2.0,
            "stop_loss_z": 4.0,
            "half_life_candles": 5,
        }
    ]
}


@pytest.mark.parametrize("home", ["beside", "here"])
def test_a_pairs_file_lies_beside_the_config_or_in_the_working_directory(folder: Path, home: str) -> None:
    (folder / "configs").mkdir()
    config = folder / "configs" / "bot.json"
    config.write_text(text_of(pair_config({"pairs": REMOVED, "pairs_file": "pairs_config.json"})))
    place = config.parent if home == "beside" else folder
    (place / "pairs_config.json").write_text(json.dumps(PAIRS_FILE))
    (pair,) = load_config(config, environ={}).pairs
    assert (pair.leg_a, pair.leg_b, pair.entry_z, pair.half_life_bars) == ("1000CATUSDT", "1MBABYDOGEUSDT", 2.0, 5.0)
    assert pair.hedge.ratio == 0.7387


def test_problems_of_a_pairs_file_are_told_at_its_own_places(folder: Path) -> None:
    bad = {"pairs": [{**PAIRS_FILE["pairs"][0], "leg_b": "1000CATUSDT", "hedge_ratio": 0, "stop": 4}]}
    (folder / "mine.json").write_text(json.dumps(bad, indent=1))
    lines = _refused(folder, pair_config({"pairs": REMOVED, "pairs_file": "mine.json"})).splitlines()
    where = str(folder / "mine.json")
    assert [line.split(" (")[0] for line in lines[:-1]] == [
        f"{where}:6:13: error: pairs[0].leg_b: both legs are the same symbol",
        f"{where}:7:19: error: pairs[0].hedge_ratio: is out of bounds",
        f"{where}:11:4: error: pairs[0].stop: there is no such key",
    ]


def test_a_pairs_file_that_is_no_json_is_told_with_its_place(folder: Path) -> None:
    (folder / "mine.json").write_text('{"pairs": [}')
    text = _refused(folder, pair_config({"pairs": REMOVED, "pairs_file": "mine.json"}))
    assert f"{folder / 'mine.json'}:1:12: error: pairs[0]: a value was expected here" in text


def test_a_pairs_file_without_pairs_is_good_with_a_warning(folder: Path) -> None:
    (folder / "mine.json").write_text('{"pairs": []}')
    loaded = _load(folder, pair_config({"pairs": REMOVED, "pairs_file": "mine.json"}))
    assert loaded.pairs == () and loaded.symbols == ()
    assert "there is no pair: a bot only ends what it has open" in loaded.warnings[-1].message
    assert "error: pairs: " in _refused(folder, pair_config({"pairs": []}))


def test_who_makes_the_pairs_file_needs_none(folder: Path) -> None:
    config = folder / "bot.json"
    config.write_text(text_of(pair_config({"pairs": REMOVED, "pairs_file": "yet_to_come.json"})))
    with pytest.raises(ConfigError, match="no file"):
        load_config(config, environ={})
    loaded = load_config(config, environ={}, needs_pairs=False)
    assert loaded.pairs == () and [one.path for one in loaded.warnings] == ["pairs_file"]


def test_the_hash_changes_with_every_value_and_only_with_values(folder: Path) -> None:
    first = _load(folder, pair_config())
    (folder / "bot.json").write_text(json.dumps(pair_config()))
    again = load_config(folder / "bot.json", environ={})
    assert first.sha256 == again.sha256 and len(first.sha256) == 64
    changed = [
        _load(folder, pair_config({"trading.max_positions": 4})),
        _load(folder, pair_config({"pairs.0.hedge_ratio": 0.86})),
        _load(folder, pair_config({"strategy.exit_logic.params.x_cooldown_bars": 5})),
        _load(folder, pair_config(), {"mock.seed": 8}),
    ]
    assert len({first.sha256, *(each.sha256 for each in changed)}) == 5


def test_warnings_travel_with_the_loaded_config(folder: Path) -> None:
    loaded = _load(folder, pair_config({"broker.capital": 100.0}))
    assert [each.path for each in loaded.warnings] == ["broker.capital"]


def test_a_file_name_that_is_no_bot_id_is_made_one(folder: Path) -> None:
    (folder / "my bot é.json").write_text(text_of(pair_config()))
    assert load_config(folder / "my bot é.json", environ={}).bot_id == "my_bot__"
    (folder / "bot.json").write_text(text_of(pair_config({"bot_id": "0007"})))
    assert load_config(folder / "bot.json", environ={}).bot_id == "0007"


def test_every_shipped_config_loads() -> None:
    folder = PROJECT / "config" / "trading"
    assert len(load_config(folder / "0001.json", environ={}).symbols) >= 6
    assert load_config(folder / "0002_single_symbol.json", environ={}).pairs[0].symbols == ("BTCUSDT",)
    real = load_config(folder / "real_pairs_1h.json", environ={})
    assert len(real.symbols) == 10 and {pair.hedge for pair in real.pairs} == {HedgeSpec("ols", "log", 500, 24)}
    assert real.model.data.dir is None

"""The pages of bots: all of them, and of one its overview, trades, orders, decisions, log and config."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response

from ccxt_bt_bridge.bt_time import ms_to_datetime
from management.bots.reading import BotReader, Row
from management.bots.views import BotView, PairView
from management.bots.watching import BotCard, BotWatch
from management.webgui import charts
from management.webgui.rendering import page
from trading.risk_guard import Breaker
from trading.utc_text import utc_text

CHART_BARS = 240
MARKED_TRADES = 40
LISTED_ROWS = 100
LISTED_COMMANDS = 8
LISTED_WORRIES = 12


def add_bot_pages(app: FastAPI, watch: BotWatch) -> None:
    @app.get("/")
    def bots(request: Request) -> Response:
        """All bots that have a journal in the state folder"""
        seen = watch.cards()
        cards = [one for one in seen if isinstance(one, BotCard)]
        return page(
            request,
            "bots.html",
            seen=seen,
            sparks={card.view.key: charts.sparkline(card.equity) for card in cards},
            state=watch.state,
            running=sum(card.view.is_running for card in cards),
            tripped=sum(card.view.breaker["state"] != Breaker.CLOSED.value for card in cards),
            alarms=sum(card.alarms for card in cards),
        )

    @app.get("/bots/{key}")
    def bot(request: Request, key: str) -> Response:
        """One bot: figures, curves, pairs, limits, health, alarms, commands"""
        with watch.looking(watch.files(key)) as (reader, view):
            points = watch.curve(reader, key)
            return page(
                request,
                "bot.html",
                view=view,
                equity=charts.equity_chart(points),
                drawdown=charts.drawdown_chart(points),
                pairs=[_pair_card(reader, pair) for pair in _open_first(view)],
                agrees=_agrees(view),
                troubles=watch.troubles(view, LISTED_WORRIES),
                commands=[watch.told(row) for row in reader.commands(LISTED_COMMANDS)],
            )

    @app.get("/bots/{key}/trades")
    def trades(request: Request, key: str) -> Response:
        """The newest closed trades, profit split into its parts"""
        with watch.looking(watch.files(key)) as (reader, view):
            rows = [_trade_row(row, reader.parsed(row["legs"])) for row in reader.newest("trades", LISTED_ROWS)]
            return page(request, "trades.html", view=view, rows=rows, total=reader.count("trades"))

    @app.get("/bots/{key}/orders")
    def orders(request: Request, key: str) -> Response:
        """The newest orders, from what was intended to what was filled"""
        with watch.looking(watch.files(key)) as (reader, view):
            rows = [row | {"time": _time(row["created_ms"])} for row in reader.newest("intents", LISTED_ROWS)]
            return page(request, "orders.html", view=view, rows=rows, total=reader.count("intents"))

    @app.get("/bots/{key}/decisions")
    def decisions(request: Request, key: str) -> Response:
        """What the rules answered at each bar, and what was refused, with the reasons"""
        with watch.looking(watch.files(key)) as (reader, view):
            refused = reader.newest("refusals", LISTED_ROWS)
            refused = [row | {"reasons": reader.parsed(row["reasons"])} for row in refused]
            rows = reader.newest("decisions", LISTED_ROWS)
            return page(request, "decisions.html", view=view, rows=rows, refusals=refused)

    @app.get("/bots/{key}/log")
    def log(request: Request, key: str) -> Response:
        """The end of its log and of the log of errors, without secrets"""
        with watch.looking(watch.files(key)) as (_, view):
            return page(request, "log.html", view=view, lines=watch.log(view)[::-1], errors=watch.errors(view))

    @app.get("/bots/{key}/config")
    def config(request: Request, key: str) -> Response:
        """The config it runs by, without secrets"""
        with watch.looking(watch.files(key)) as (_, view):
            text = watch.mask(json.dumps(view.config.get("config", {}), indent=2, ensure_ascii=False))
            return page(request, "config.html", view=view, text=text)


def _open_first(view: BotView) -> list[PairView]:
    return sorted(view.pairs, key=lambda pair: not pair.is_open)


def _pair_card(reader: BotReader, pair: PairView) -> dict[str, Any]:
    rows = reader.decisions_of(pair.pair_id, CHART_BARS)
    if pair.live is not None:
        rows.append({"time": pair.live.time, "zscore": pair.live.zscore, "spread": pair.live.spread})
    marks = _marks(reader, pair, [row["time"] for row in rows])
    return {"pair": pair, "z_chart": _z_chart(pair, rows, marks), "spread_chart": _spread_chart(pair, rows, marks)}


def _z_chart(pair: PairView, rows: list[Row], marks: list[charts.Mark]) -> Any:
    at_entry = f", entry at {pair.levels['entry']:g}" if "entry" in pair.levels else ""
    zscore = pair.live.zscore if pair.live is not None else pair.zscore
    now = "unknown" if zscore is None else f"{zscore:+.2f}"
    return charts.band_chart(
        [row["time"] for row in rows],
        [row["zscore"] for row in rows],
        levels=charts.z_levels(pair.levels),
        marks=marks,
        words=f"z of {pair.pair_id} over the last {len(rows)} bars: now {now}{at_entry}, {len(marks)} trades marked",
        form="+.1f",
    )


def _spread_chart(pair: PairView, rows: list[Row], marks: list[charts.Mark]) -> Any:
    """The spread between the bands that the open trade keeps from its entry; nothing without a trade."""
    statistics = pair.statistics
    if not statistics:
        return None
    mean, std = statistics["mean"], statistics["std"]
    levels = [charts.Level(mean, "mean", "level-exit")]
    levels += [
        charts.Level(mean + level.value * std, level.label, level.kind)
        for level in charts.z_levels(pair.levels)
        if level.kind != "level-exit"
    ]
    return charts.band_chart(
        [row["time"] for row in rows],
        [row["spread"] for row in rows],
        levels=levels,
        marks=marks,
        words=f"Spread of {pair.pair_id} with the bands of its entry: now {rows[-1]['spread']}, mean {mean:.5f}",
        form="+.4f",
    )


def _marks(reader: BotReader, pair: PairView, times: list[str]) -> list[charts.Mark]:
    places = {time: index for index, time in enumerate(times)}
    wanted = [(pair.entry_time, pair.direction, f"{pair.direction} since {pair.entry_time}")] if pair.is_open else []
    for row in reader.trades_of(pair.pair_id, MARKED_TRADES):
        wanted.append((row["entry_time"], row["direction"], f"{row['direction']} at {row['entry_time']}"))
        wanted.append((row["exit_time"], "exit", f"{row['exit_reason']}, {float(row['pnl']):+.2f}"))
    return [charts.Mark(places[time], kind, text) for time, kind, text in wanted if time in places]


def _agrees(view: BotView) -> bool | None:
    """Whether the exchange held what the ledger says, where it has been asked."""
    told: Mapping[str, float] = view.status.get("exchange", {})
    if not view.status.get("last_reconciled"):
        return None
    held: dict[str, float] = {}
    for leg in (leg for pair in view.pairs for leg in pair.legs):
        held[leg.symbol] = held.get(leg.symbol, 0.0) + leg.held
    return all(abs(held.get(symbol, 0.0) - amount) <= 1e-9 for symbol, amount in told.items())


def _trade_row(row: Row, legs: list[Row]) -> Row:
    return row | {name: sum(float(leg[name]) for leg in legs) for name in ("pnl_price", "fees", "funding")}


def _time(ms: int) -> str:
    return utc_text(ms_to_datetime(ms))

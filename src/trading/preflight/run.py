"""All checks of one config, each by itself: one that fails does not keep the others from being made."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from trading.config.model import LoadedConfig
from trading.config.report import Problem
from trading.config_validator import ConfigValidator
from trading.preflight import here, notifiers, venue
from trading.preflight.finding import Finding, PreflightReport, fails
from trading.preflight.venue import PrivateSide, PublicSide
from trading.remedies import remedy_for


class Sides(Protocol):
    """How the exchange of a config is reached. Opening raises BridgeError, InputError or CredentialsError."""

    def public(self, config: LoadedConfig) -> AbstractAsyncContextManager[PublicSide]: ...

    def private(
        self, config: LoadedConfig, environ: Mapping[str, str]
    ) -> AbstractAsyncContextManager[PrivateSide] | None:
        """None for a broker that needs no key."""


class Preflight:
    """``environ``: what may override a config and hold its secrets; ``overrides``: by dotted path, the last word."""

    def __init__(self, sides: Sides, environ: Mapping[str, str], *, overrides: Mapping[str, Any] | None = None) -> None:
        self._sides, self._environ, self._overrides = sides, environ, overrides

    async def check(self, path: str | Path) -> PreflightReport:
        """Everything about the config at ``path``; never raises for what it finds."""
        examination = ConfigValidator(environ=self._environ, overrides=self._overrides).examine_file(path)
        config = examination.loaded
        if config is None:
            return PreflightReport(str(path), tuple(map(_invalid, examination.report.errors)))
        findings = [one for check in here.CHECKS for one in check(config, self._environ)]
        findings += await _made(notifiers.CHECK, notifiers.check_notifiers(config, self._environ))
        equity, private = await self._private(config)
        public = await self._public(config, equity)
        return PreflightReport(config.name, (*findings, *public, *private))

    async def _private(self, config: LoadedConfig) -> tuple[Decimal, list[Finding]]:
        """What may be used, as far as it can be known, and the findings."""
        capital = config.model.broker.capital or config.model.broker.initial_balance
        findings: list[Finding] = []
        equity = Decimal(repr(capital))
        opened = self._sides.private(config, self._environ)
        if opened is None:
            return equity, findings
        try:
            async with opened as side:
                findings += await _made("permissions", venue.check_permissions(config, side))
                findings += await _made("account", venue.check_account(config, side))
                account = await side.account()
                findings += await _made("funds", venue.check_funds(config, account))
                capped = config.model.broker.capital is not None
                equity = min(equity, account.wallet) if capped else account.wallet
        except Exception as error:
            findings.append(_broken("key", error, "what the key may do and how the account is set was not checked"))
        return equity, findings

    async def _public(self, config: LoadedConfig, equity: Decimal) -> list[Finding]:
        try:
            async with self._sides.public(config) as side:
                checks = {
                    "clock": venue.check_clock(config, side),
                    "symbols": venue.check_symbols(config, side),
                    "history": venue.check_history(config, side),
                    "sizes": venue.check_sizes(config, side, equity),
                    "abilities": venue.check_capabilities(config, side),
                    "rate limit": venue.check_room(config, side),
                }
                return [finding for name, check in checks.items() for finding in await _made(name, check)]
        except Exception as error:
            return [_broken("exchange", error, "clock, symbols, history, sizes and limits were not checked")]


async def _made(name: str, check: AsyncIterator[Finding]) -> list[Finding]:
    findings: list[Finding] = []
    try:
        async for finding in check:
            findings.append(finding)
    except Exception as error:
        findings.append(_broken(name, error))
    return findings


def _broken(name: str, error: Exception, consequence: str = "") -> Finding:
    remedy = remedy_for(error)
    message = str(error) if remedy else f"the check itself failed: {error!r}"
    return fails(
        name, f"{message}; {consequence}" if consequence else message, remedy or "report this with the sentence above"
    )


def _invalid(problem: Problem) -> Finding:
    place = problem.path if problem.line is None else f"{problem.path} (line {problem.line})"
    hints: Iterable[str | None] = (
        f"expected {problem.expected}" if problem.expected else None,
        f"did you mean {problem.suggestion}?" if problem.suggestion else None,
    )
    return fails("config", f"{place}: {problem.message}", "; ".join(filter(None, hints)) or "mend it")

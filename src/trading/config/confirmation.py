"""Real money moves only when a person said so: for this run, or for exactly this config.

NotConfirmed    a live config without either: stop and tell the person
"""

from __future__ import annotations

from collections.abc import Mapping

from trading.config.model import LoadedConfig

CONFIRMED = "TANDEM_LIVE"


class NotConfirmed(Exception):
    """The config would trade real money, and nobody has confirmed that."""


def confirm(config: LoadedConfig, environ: Mapping[str, str], *, live: bool) -> None:
    """Raises NotConfirmed for real money without ``--live`` or the config's own hash in ``TANDEM_LIVE``.

    A changed config has another hash, and so asks anew.
    """
    if not moves_money(config) or live or environ.get(CONFIRMED, "").strip() == config.sha256:
        return
    reason = "was given for another config; this one" if environ.get(CONFIRMED, "").strip() else "is not set; this"
    raise NotConfirmed(
        f"{config.name} trades real money and {CONFIRMED} {reason} needs a confirmation: run it with --live, "
        f"or set {CONFIRMED}={config.sha256}"
    )


def moves_money(config: LoadedConfig) -> bool:
    """True when orders reach a real exchange that is not a test network and not one on this machine."""
    model = config.model
    return model.is_live and not model.testnet and model.broker.exchange_url is None

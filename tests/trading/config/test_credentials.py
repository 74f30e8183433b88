import json

import pytest

from tests.trading.config.config_texts import REMOVED, pair_config
from trading.config.confirmation import NotConfirmed, confirm
from trading.config.credentials import CredentialsError, api_key, known_secrets
from trading.config.loader import load_config

REAL = {"BINANCE_API_KEY": "K" * 64, "BINANCE_API_SECRET": "S" * 64}
LIVE = {
    "broker.type": "binance",
    "data.data_source": "binance",
    "broker.capital": 10_000.0,
    "broker.initial_balance": REMOVED,
}


@pytest.fixture
def live(tmp_path):
    """A live config with some values changed, loaded."""

    def loaded(changes=()):
        path = tmp_path / "live.json"
        path.write_text(json.dumps(pair_config({**LIVE, **dict(changes)})))
        return load_config(path, environ={})

    return loaded


def test_a_missing_key_is_named_with_the_two_places_it_may_come_from(live):
    with pytest.raises(CredentialsError, match="SECRET not set.* 0600 in BINANCE_API_SECRET_FILE"):
        api_key(live().model, {"BINANCE_API_KEY": "K" * 64})


def test_a_key_is_shown_nowhere(live):
    key = api_key(live().model, REAL)
    assert (key.key, key.secret) == ("K" * 64, "S" * 64)
    assert "KKK" not in repr(key)
    assert "SSS" not in repr(key)


def test_a_key_file_is_read_only_when_nobody_else_can_read_it(live, tmp_path):
    file = tmp_path / "secret"
    file.write_text("from-a-file\n")
    file.chmod(0o600)
    environ = {"BINANCE_API_KEY": "K" * 64, "BINANCE_API_SECRET_FILE": str(file)}
    assert api_key(live().model, environ).secret == "from-a-file"
    file.chmod(0o640)
    with pytest.raises(CredentialsError, match=r"open to others \(mode 0640\); chmod 600") as told:
        api_key(live().model, environ)
    assert "from-a-file" not in str(told.value)


def test_a_key_file_that_is_not_there_is_told_by_its_name(live):
    with pytest.raises(CredentialsError, match="no-such-file, named by BINANCE_API_KEY_FILE, cannot be read"):
        api_key(live().model, {"BINANCE_API_KEY_FILE": "no-such-file", "BINANCE_API_SECRET": "S" * 64})


def test_a_key_given_twice_is_refused(live):
    with pytest.raises(CredentialsError, match="are both set"):
        api_key(live().model, {**REAL, "BINANCE_API_KEY_FILE": "somewhere"})


def test_an_exchange_on_this_machine_gets_a_pair_of_its_own_and_never_a_real_one(live):
    desk = live({"broker.exchange_url": "http://127.0.0.1:8787"})
    assert api_key(desk.model, {}).key == "desk-key"
    with pytest.raises(CredentialsError, match="looks like a key of the real exchange"):
        api_key(desk.model, REAL)


def test_real_money_needs_a_person_or_the_hash_of_this_very_config(live):
    config = live()
    with pytest.raises(NotConfirmed, match=f"--live, or set TANDEM_LIVE={config.sha256}"):
        confirm(config, {}, live=False)
    confirm(config, {}, live=True)
    confirm(config, {"TANDEM_LIVE": config.sha256}, live=False)


def test_a_changed_config_asks_anew(live):
    before, after = live(), live({"trading.position_size": 0.05})
    with pytest.raises(NotConfirmed, match="was given for another config"):
        confirm(after, {"TANDEM_LIVE": before.sha256}, live=False)


@pytest.mark.parametrize("changes", [{"broker.testnet": True}, {"broker.exchange_url": "http://127.0.0.1:8787"}])
def test_a_test_network_and_an_exchange_on_this_machine_need_no_confirmation(live, changes):
    confirm(live(changes), {}, live=False)


def test_a_value_too_short_to_be_a_secret_is_not_blackened_wherever_it_stands():
    environ = {"CI_TOKEN": "1", "FEATURE_SECRET": "true", "SMTP_PASSWORD": "s3cret", "BINANCE_API_KEY": "K" * 64}
    assert set(known_secrets(environ)) == {"s3cret", "K" * 64}

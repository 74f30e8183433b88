"""No secret is left in a text, whatever form it stands in."""

from __future__ import annotations

import html
import json
from urllib.parse import quote, quote_plus

import pytest
from markupsafe import escape

from trading.secret_text import Redactor

SECRET = "pa ss/wörd&x'\"<y>"

FORMS = {
    "plain": SECRET,
    "percent": quote(SECRET, safe=""),
    "percent, slashes kept": quote(SECRET),
    "percent, lower": "pa%20ss%2fw%c3%b6rd%26x%27%22%3cy%3e",
    "form": quote_plus(SECRET),
    "HTML": html.escape(SECRET),
    "a page of the panel": str(escape(SECRET)),
    "JSON": json.dumps(SECRET),
    "JSON in Unicode": json.dumps(SECRET, ensure_ascii=False),
    "Python": repr(SECRET),
    "bytes": repr(SECRET.encode()),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_known_secret_is_found_in_every_form(name: str) -> None:
    text = Redactor([SECRET])(f"before {FORMS[name]} after")
    assert "***" in text and text.startswith("before ") and text.endswith(" after")
    assert not {"rd&x", "wörd", "rd\\u", "%26x", "%3Cy", "amp;x"} & {text[n : n + 4] for n in range(len(text))}
    assert "ss" not in text.removeprefix("before ")


LOOKS = (
    ("Authorization: Bearer abcdefghijklmnop", "abcdef"),
    ('{"Authorization": "Bearer abcdefghijklmnop"}', "abcdef"),
    ("Authorization: Basic dXNlcjpwdw==", "dXNl"),
    ("sent with Bearer abcdefghijklmnopqrst.uvwx", "abcdef"),
    ("POST https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazk failed", "A1BRTD4JD"),
    ("POST /services/T1JJ3T3L2/B1BRTD4JD/TIiajkdnlazk", "B1BRTD4JD"),
    ("https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js", "JHMHI8"),
    ("GET https://hc-ping.com/11111111-2222-3333-4444-555555555555", "2222"),
    ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOX", "A1BRTD4JD"),
    ("tgram://123456789:abcdefg/12345", "abcdefg"),
    ("https://api.telegram.org/bot123456:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef/sendMessage", "ABCDEF"),
    ("signature=0123abcd&x=1", "0123abcd"),
)


@pytest.mark.parametrize(("text", "secret"), LOOKS)
def test_what_looks_like_a_secret_is_hidden_without_being_known(text: str, secret: str) -> None:
    clean = Redactor()(text)
    assert secret not in clean and "***" in clean


@pytest.mark.parametrize("text", ["a bearer header or a cookie", "order 0001-v9k3ub-3-1x", "slack in the spread"])
def test_plain_words_stay(text: str) -> None:
    assert Redactor()(text) == text

"""Imports point down; ccxt, telegram, statsmodels, the environment, the clock and chance stay in their rooms."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.floor_rules import ALLOWED, FLOORS, offences, used_names

SRC = Path(__file__).resolve().parents[1] / "src"


def sources() -> dict[str, str]:
    return {path.relative_to(SRC).as_posix(): path.read_text("utf-8") for path in sorted(SRC.rglob("*.py"))}


def test_every_source_file_keeps_to_its_floor():
    found = [offence for file, source in sources().items() for offence in offences(file, source)]
    assert not found, "\n".join(map(str, found))


def test_every_folder_has_a_floor():
    assert {file.split("/")[0] for file in sources()} <= set(FLOORS)


def test_every_exception_is_still_needed():
    stale = [f"{file} no longer reads {name}" for file, name in ALLOWED if name not in used_names(sources()[file])]
    assert not stale


UP = "imports point down, never up"
SIDEWAYS = "imports point down, never sideways"
BAD = [
    ("pairs/a.py", "import strategies.desk", UP),
    ("pairs/a.py", "def f():\n    from trading import status", UP),
    ("mixins/a.py", "import importlib\nimportlib.import_module('trading.status')", UP),
    ("strategies/a.py", "from ..trading import status", UP),
    ("pairs/a.py", "from ccxt_bt_bridge.words import Bar", SIDEWAYS),
    ("ccxt_bt_bridge/a.py", "import pairs", SIDEWAYS),
    ("brokers/b/a.py", "from ...feeds import history", SIDEWAYS),
    ("mixins/a.py", "if True:\n    import brokers.fills", SIDEWAYS),
    ("trading/a.py", "import management.cli", UP),
    ("trading/a.py", "from src.pairs import words", "without src"),
    ("trading/a.py", "import ccxt.async_support as ccxt", "ccxt belongs to"),
    ("feeds/a.py", "def f():\n    import ccxt", "ccxt belongs to"),
    ("trading/a.py", "from telegram.ext import Application", "telegram belongs to"),
    ("pairs/a.py", "from statsmodels.tsa.stattools import adfuller", "statsmodels is slow"),
    ("pairs/a.py", "class A:\n    import statsmodels.api", "statsmodels is slow"),
    ("brokers/a.py", "import os\nkey = os.environ['KEY']", "the environment"),
    ("trading/a.py", "from os import getenv as get\nget('KEY')", "the environment"),
    ("feeds/a.py", "import os as system\nsystem.environ.get('KEY')", "the environment"),
    ("brokers/a.py", "import time\nnow = time.time()", "injected clock"),
    ("strategies/a.py", "from time import time as now\nnow()", "injected clock"),
    ("trading/a.py", "from datetime import datetime\ndatetime.now()", "injected clock"),
    ("trading/a.py", "import datetime as d\nd.datetime.utcnow()", "injected clock"),
    ("ccxt_bt_bridge/a.py", "import time\nf = time.monotonic", "injected clock"),
    ("mixins/a.py", "import random\nrandom.random()", "a seed does not decide"),
    ("trading/a.py", "from uuid import uuid4\nuuid4()", "a seed does not decide"),
    ("brokers/a.py", "import numpy as np\nnp.random.normal(size=3)", "a seed does not decide"),
    ("brokers/a.py", "import numpy as np\nnp.random.default_rng()", "a seed does not decide"),
    ("trading/signal.py", "", "standard-library module"),
    ("trading/queue/a.py", "", "standard-library module"),
]


@pytest.mark.parametrize(("file", "source", "said"), BAD)
def test_what_a_file_must_not_do_is_reported_with_its_line(file, source, said):
    (offence,) = offences(file, source)
    assert said in str(offence)
    assert str(offence).startswith(f"src/{file}:{max(1, len(source.splitlines()))}: ")


GOOD = [
    ("trading/a.py", "from strategies import desk\nfrom brokers import fills\nimport pairs.words"),
    ("brokers/a.py", "import ccxt\nfrom ccxt_bt_bridge import words\nfrom . import fills"),
    ("notifications/a.py", "import telegram"),
    ("pairs/a.py", "def f():\n    from statsmodels.tsa.stattools import adfuller\n    return adfuller"),
    ("trading/config/a.py", "import os\nos.environ.get('KEY')"),
    ("management/a.py", "import os\nimport time\nos.getenv('KEY')\ntime.time()"),
    ("trading/a.py", "from datetime import datetime\ndatetime.fromtimestamp(0)\nclock.time()"),
    ("brokers/a.py", "import numpy as np\nnp.random.default_rng(7)\nnp.random.Generator(np.random.PCG64(7)).random()"),
    ("brokers/signal.py", ""),
    ("trading/journal/queue.py", ""),
]


@pytest.mark.parametrize(("file", "source"), GOOD)
def test_what_a_file_may_do_is_not_reported(file, source):
    assert offences(file, source) == []

"""What holds for every test, before anything is loaded; and two commands here whose names look like tests."""

import os

# Each of pytest's processes has a core of its own: numpy's threads only wait for each other. Set before it loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

collect_ignore = ["test_live_data_feeds.py", "test_live_bot_config.py"]

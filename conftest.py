"""Two commands of this folder have names that pytest would take for tests."""

collect_ignore = ["test_live_data_feeds.py", "test_live_bot_config.py"]

"""Everything that can be known to be wrong before a bot is started."""

"""The panel: pages of all bots, in a process of its own."""

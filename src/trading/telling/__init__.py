"""From a run's events to notices: what is told, in which words, through which channels."""

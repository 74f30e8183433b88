"""The bots of a state folder, as an onlooker sees them: for the panel and for the metrics. Reads only."""

"""What a bot tells, and what it answers: the trading floor's side of notifications."""

"""What Prometheus is told of all bots."""

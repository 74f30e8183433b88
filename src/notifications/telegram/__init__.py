"""Telegram: alerts, and the commands of those who are allowed to give them."""

"""A simulated exchange: matching, account, funding, faults and a file of its own, behind the bridge's ports.

Imports nothing here: a backtest takes ``source`` alone and need not load a database.
"""

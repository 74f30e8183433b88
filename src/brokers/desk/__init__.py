"""The exchange on the desk: the simulated exchange behind HTTP and WebSocket, in Binance's own dialect."""

"""From a bill to alerts on this machine: features, training, scoring, search, backtest."""

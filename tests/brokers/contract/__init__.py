"""What every broker promises, written once and run by each of them."""

"""The scan for pairs: care with the data, the tests, the choice, and what is written of them."""

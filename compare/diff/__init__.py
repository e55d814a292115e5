"""`python -m compare diff`: the code side by side, the same step on one row. Start at
command.py."""

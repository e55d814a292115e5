"""`python -m compare diff`: the code side by side, a step on one row. Start at command.py."""

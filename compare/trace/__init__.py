"""`python -m compare trace`: where two implementations part, step by step. Start at command.py."""

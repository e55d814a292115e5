"""`python -m compare trace`: the first intermediate that is wrong. Start at command.py."""

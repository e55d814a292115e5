"""`python -m compare run`: train side by side and say whether they agree. Start at command.py."""

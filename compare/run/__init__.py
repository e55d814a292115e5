"""`python -m compare run`: train side by side and judge whether all agree. Start at command.py."""

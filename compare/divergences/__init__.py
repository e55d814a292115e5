"""`python -m compare divergences`: where the libraries part, and the page made of it.

Start at command.py; traps/ holds every trap with the code that shows it.
"""

"""`python -m compare divergences`: where the libraries part, and the page made of it.

Start at command.py. The divergences, each with the code that shows it, are in
compare/catalogue/divergences.
"""

"""`python -m compare divergences`: where the libraries part, and the page made of it.

Start at command.py; each divergence, with the code that shows it, is in
compare/catalogue/divergences.
"""

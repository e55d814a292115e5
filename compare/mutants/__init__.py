"""`python -m compare mutants`: plant bugs that the parity checks must catch. Start at
command.py.

The bugs themselves are in compare/catalogue.
"""

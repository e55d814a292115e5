"""`python -m compare mutants`: planted bugs, which parity has to catch. Start at command.py.

The bugs themselves are in compare/catalogue.
"""

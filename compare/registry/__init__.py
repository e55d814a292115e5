"""The contract of an implementation, and finding those that are installed or from elsewhere.

Start at contract.py; implementations.py loads this project's three, foreign.py those of a user.
"""

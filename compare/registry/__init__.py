"""The contract of an implementation, and finding those that are installed or of a third party.

Start at contract.py; implementations.py loads this project's three, third_party.py those of a user.
"""

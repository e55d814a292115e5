"""The contract of an implementation, and loading this project's and third parties'.

Start at contract.py; implementations.py loads this project's three, third_party.py the user's.
"""

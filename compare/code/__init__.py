"""Source code as rows: the same step of several implementations on one row, with its colours.

Start at aligned.py; `compare diff` and the page of a run are made of it.
"""

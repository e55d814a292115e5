"""Source code in rows: the same step of several implementations on one row, with colours.

Start at aligned.py. `compare diff` and the page of a run use it.
"""

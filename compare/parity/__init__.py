"""The checks of parity, put to any implementation, form, dtype and device.

Start at checks.py, the list of them; steps.py judges a forward pass step by step, and verdict.py
a run of `python -m compare run`.
"""

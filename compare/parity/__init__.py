"""The checks of parity, put to any implementation, form, dtype and device.

Start at checks.py, the list of them; intermediates.py judges a forward pass, and verdict.py a
run of `python -m compare run`.
"""

"""The parity checks of any implementation, form, dtype and device.

Start at checks.py, which lists them; intermediates.py judges a forward pass, and verdict.py a
run of `python -m compare run`.
"""

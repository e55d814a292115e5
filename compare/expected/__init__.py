"""The exact value of each intermediate, gradient and training step, and its rounding bound.

Start at bounds.py (the arithmetic), then exact.py (the model), adam.py and training.py;
problems.py draws small problems for the checks.
"""

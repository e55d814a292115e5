"""What each intermediate, gradient and training step should be, and how far rounding may move it.

Start at bounds.py (the arithmetic), then exact.py (the model), adam.py and training.py;
problems.py draws small problems to put to an implementation.
"""

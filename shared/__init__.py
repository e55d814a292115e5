"""Code that the three implementations share: NumPy in, NumPy out, and no framework."""

"""What the three implementations have in common: NumPy in, NumPy out, and no framework."""

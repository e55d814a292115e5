"""Training for all frameworks: epochs, checkpoints, run folders, progress, processes."""

"""Training, once for every framework: epochs, checkpoints, run folders, progress, processes."""

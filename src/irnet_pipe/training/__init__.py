"""Training: losses, schedule, checkpoint and the loop."""

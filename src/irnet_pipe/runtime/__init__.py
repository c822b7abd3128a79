"""What a job is run with: its recipe, device, seeds, log and progress."""

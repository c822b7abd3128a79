"""What a run will take, told before it starts: time, memory and disk of each stage. Light: torch runs in jobs alone."""

"""Speed, memory and agreement of this package beside other implementations: `python -m benchmarks --help`."""

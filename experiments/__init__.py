"""The experiments: command line, benchmark, statistics, figures, speed measurements and the demo."""

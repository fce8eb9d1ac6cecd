"""The experiments: command line, benchmark, statistics, figures, speed measurements and the demo."""

import agent  # noqa: F401  sets OpenMP's wait policy, which must come before torch

"""Operating-system services: atomic files, memory, threads, devices, versions."""

"""What every part needs of the machine: whole files, memory, threads, devices, versions."""

"""What needs the extra `cluster` or minutes: engines on several nodes, ranks; `make test-cluster` runs it."""

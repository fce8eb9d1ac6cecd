"""What several experiments share: intervals, result folders, trained runs, hardware."""

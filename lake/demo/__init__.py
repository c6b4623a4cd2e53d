"""Demo data with planted faults whose counts are known exactly."""

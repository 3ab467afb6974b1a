"""From measured quantum transport back to the disorder that caused it."""

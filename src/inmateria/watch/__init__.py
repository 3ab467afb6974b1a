"""What a run's files say while it goes on: plain JSON, and a page on this machine that shows it."""

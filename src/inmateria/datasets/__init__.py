"""Sets of simulated samples at any scale: what is drawn, computed and kept of each."""

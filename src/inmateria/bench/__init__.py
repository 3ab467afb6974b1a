"""What stands on a table in the lab: one file that says it, and what is done with it first."""

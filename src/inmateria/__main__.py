"""`python -m inmateria`."""

from inmateria.cli import main

main()

"""`python -m inmateria.cli`."""

from inmateria.cli import main

main()

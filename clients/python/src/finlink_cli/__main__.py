"""`python -m finlink_cli`."""

from finlink_cli.program import program

program()

"""`python -m finlink_cli`."""

from finlink_cli.app import program

program()

"""The supervisor behind `python -m server run`: starts, watches and stops all processes of Finlink."""

"""The command line: `app.py` registers the commands, one module holds each."""

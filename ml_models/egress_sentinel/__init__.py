"""The command line, the local endpoint, the local AWS and the report."""

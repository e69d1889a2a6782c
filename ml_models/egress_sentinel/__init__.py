"""What a person runs: the command line, the local endpoint, the local AWS, the report."""

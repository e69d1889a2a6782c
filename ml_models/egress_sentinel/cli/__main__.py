"""`python -m egress_sentinel.cli`."""

from egress_sentinel.cli.app import main

main()

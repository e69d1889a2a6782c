"""`python -m local_aws` serves until SIGTERM or SIGINT; it prints its URL as one line of JSON."""

import sys

from local_aws.server import main

sys.exit(main())

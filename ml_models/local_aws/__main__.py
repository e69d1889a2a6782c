"""`python -m local_aws` prints its URL as one line of JSON and serves until SIGTERM or SIGINT."""

import sys

from local_aws.server import main

sys.exit(main())

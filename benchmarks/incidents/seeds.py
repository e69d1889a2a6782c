"""Which seeds are built on and which are measured on; not part of what makes a case, so that they can change alone.

Do not run the reported seeds while building, not even once. The check seeds are the last look before them. Seeds that
were reported before: 101 to 106 were read incident by incident and are development seeds since then; 201 to 206 and 301
to 308 ("seen") were looked at too.
"""

from __future__ import annotations

SEEDS = {
    "dev": (*range(1, 8), *range(101, 107)),
    "seen": (*range(201, 207), *range(301, 309)),
    "check": tuple(range(8, 17)),
    "reported": tuple(range(401, 413)),
}

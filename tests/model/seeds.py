"""How often each canary bites, and with which seeds: `python -m tests.model.seeds FIRST WORLDS`.

Any change in which calls a worker makes gives every seed another story. Then the seeds that
`canaries.py` records no longer bite, their test says so, and this finds new ones.
"""

import sys

from tests.model.canaries import CANARIES
from tests.model.world import World


def main(first: int, worlds: int) -> None:
    for canary in CANARIES:
        seeds = [
            seed for seed in range(first, first + worlds) if World(seed, canary.variant).run().differences()
        ]
        print(f"{canary.name}: {len(seeds)} of {worlds}, {seeds[:5]}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

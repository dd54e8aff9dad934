"""Runs a program on asyncio's own loop, in plain Python, and prints what it returns."""

import asyncio
import importlib
import json
import sys

if __name__ == "__main__":
    print(json.dumps(asyncio.run(importlib.import_module(sys.argv[1]).main())))

"""The TCP gateway beside other TCP proxies, in a network namespace of its own: `__main__` measures, `forwarding.py` above reports."""

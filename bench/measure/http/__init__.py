"""HTTP by name beside other reverse proxies, in a network namespace of its own: `__main__` measures, `by_name.py` above reports."""

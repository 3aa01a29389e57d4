"""The lines that check.sh counts, for suites in Python."""

passed = failed = 0


def ok(name):
    global passed
    passed += 1
    print(f"ok {name}", flush=True)


def not_ok(name, why):
    global failed
    failed += 1
    print(f"not ok {name}: {why}", flush=True)


def skip(name, why):
    print(f"skip {name}: {why}", flush=True)


def expect(name, wrong):
    """`wrong` says what is wrong, or is empty."""
    not_ok(name, wrong) if wrong else ok(name)


def done():
    """The last line; the value is the exit code."""
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0

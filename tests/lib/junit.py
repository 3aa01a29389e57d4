#!/usr/bin/env python3
"""junit.py REPORT ENDED CODE: what pytest counted, as lines of the suite's protocol."""

import sys
import xml.etree.ElementTree as xml

report, ended, code = sys.argv[1:]
try:
    cases = list(xml.parse(report).getroot().iter("testcase"))
except (OSError, xml.ParseError) as error:
    print(f"not ok pytest: {ended}, without a report ({error})")
    sys.exit()
failed = False
for case in cases:
    name = f"{case.get('classname')}.{case.get('name')}"
    wrong = case.find("failure") if case.find("failure") is not None else case.find("error")
    skipped = case.find("skipped")
    if wrong is not None:
        failed = True
        print(f"not ok {name}: {' '.join((wrong.get('message') or 'failed').split())[:200]}")
    elif skipped is not None:
        print(f"skip {name}: {skipped.get('message')}")
    else:
        print(f"ok {name}")
if code != "0" and not failed:
    print(f"not ok pytest: {ended}")

"""Judgements as JUnit XML, which the pages of CI services show: a test case for each.

The form is that of the Jenkins JUnit plugin's schema. An undecided objective is an `error`, a missed one a
`failure`, so that pages tell them apart and neither counts as passed.
"""

from collections import Counter
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, tostring

from reports.targets import FAIL, INCONCLUSIVE, PASS, Judgement

OUTCOMES = {FAIL: "failure", INCONCLUSIVE: "error"}


def junit_xml(name: str, judgements: Sequence[Judgement]) -> str:
    counts = Counter(one.verdict for one in judgements)
    totals = {"tests": len(judgements), "failures": counts[FAIL], "errors": counts[INCONCLUSIVE]}
    shown = {key: str(value) for key, value in totals.items()}
    root = Element("testsuites", shown)
    suite = SubElement(root, "testsuite", {"name": name, "skipped": "0", **shown})
    for one in judgements:
        where = ".".join(filter(None, [name, one.variant, one.source]))
        case = SubElement(suite, "testcase", {"classname": where, "name": one.target.text})
        if one.verdict == PASS:
            SubElement(case, "system-out").text = one.sentence
        else:
            SubElement(case, OUTCOMES[one.verdict], {"message": one.sentence, "type": one.verdict})
    return tostring(root, encoding="unicode", xml_declaration=True) + "\n"

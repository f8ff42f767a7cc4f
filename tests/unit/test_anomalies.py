"""Detectors find what is above the ordinary, and stay silent about what chance explains."""

import pytest

from rates.anomalies import DETECTORS, UNSEEN, Detector, evidence
from rates.tallies import TALLIES

ORDINARY = tuple(detector for detector in DETECTORS if not detector.constant)
CONSTANT = tuple(detector for detector in DETECTORS if detector.constant)


def counts(detector: Detector, matching: int, of: int) -> dict[str, int]:
    found = dict.fromkeys(TALLIES, 0)
    found[detector.of] = of
    if detector.without:
        found[detector.matching], found[detector.without] = of, of - matching
    else:
        found[detector.matching] = matching
    return found


def name(detector: Detector) -> str:
    return detector.id


@pytest.mark.parametrize("detector", DETECTORS, ids=name)
def test_a_detector_reads_tallies_and_speaks_both_languages(detector: Detector) -> None:
    assert {detector.matching, detector.of} | ({detector.without} - {""}) <= set(TALLIES)
    texts = (detector.title_vi, detector.title_en, detector.of_dossier_vi, detector.of_dossier_en)
    assert all(texts)
    assert detector.title_vi != detector.title_en


@pytest.mark.parametrize("detector", ORDINARY, ids=name)
def test_a_share_is_evidence_once_chance_no_longer_explains_it(detector: Detector) -> None:
    of = 20_000
    assert evidence(detector, counts(detector, round(detector.ordinary * of), of)) is None
    found = evidence(detector, counts(detector, round(2 * detector.ordinary * of), of))
    assert found is not None
    assert found.share == pytest.approx(2 * detector.ordinary, rel=0.01)
    assert detector.ordinary < found.at_least < found.share


@pytest.mark.parametrize("detector", DETECTORS, ids=name)
def test_few_dossiers_are_no_evidence(detector: Detector) -> None:
    few = detector.least - 1
    assert evidence(detector, counts(detector, few, few)) is None
    assert evidence(detector, counts(detector, 0, 10_000)) is None


@pytest.mark.parametrize("detector", CONSTANT, ids=name)
def test_a_field_that_never_differs_is_evidence_and_one_that_does_once_is_not(detector: Detector) -> None:
    assert evidence(detector, counts(detector, 500, 500)) is not None
    assert evidence(detector, counts(detector, 499, 500)) is None


def test_every_documented_pattern_is_either_looked_for_or_said_to_be_out_of_sight() -> None:
    looked_for = {detector.id.partition("-")[0] for detector in DETECTORS}
    assert looked_for | set(UNSEEN) == {f"G{number}" for number in range(1, 21)}
    assert not looked_for & set(UNSEEN)
    assert all(vi and en and vi != en for vi, en in UNSEEN.values())

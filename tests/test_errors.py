from __future__ import annotations

import pickle

import pytest

from landslide_scale import errors
from landslide_scale.errors import InvalidConfigError, LandslideScaleError


def descendants(kind: type[LandslideScaleError]) -> list[type[LandslideScaleError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in descendants(child))]


KINDS = [kind for kind in descendants(LandslideScaleError) if kind.__module__ == errors.__name__]


def made(kind: type[LandslideScaleError]) -> LandslideScaleError:
    return kind("10 x 12 px", expected="10 x 10 px", cure="Cut the mask.", scene="S2A", band="red", block=(3, -4))


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_pickling_with_all_it_says(kind: type[LandslideScaleError]):
    error = made(kind)
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 our own bytes
    assert type(back) is kind
    assert (back.found, back.expected, back.cure) == ("10 x 12 px", "10 x 10 px", "Cut the mask.")
    assert back.where == {"scene": "S2A", "band": "red", "block": "(3, -4)"}
    assert str(back) == str(error)
    assert back.args == error.args


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_can_be_added_on_the_way_up_and_what_is_known_is_kept(kind: type[LandslideScaleError]):
    added = made(kind).at(unit="u1", band="blue", file=None)
    assert type(added) is kind
    assert added.where == {"unit": "u1", "band": "red", "scene": "S2A", "block": "(3, -4)"}
    assert pickle.loads(pickle.dumps(added)).where == added.where  # noqa: S301 our own bytes


@pytest.mark.parametrize("kind", KINDS)
def test_the_message_says_where_what_what_was_expected_and_the_cure(kind: type[LandslideScaleError]):
    text = str(made(kind))
    assert text == "scene S2A, band red, block (3, -4): 10 x 12 px; expected 10 x 10 px. Cut the mask."


def test_a_message_without_place_expectation_or_cure_is_what_was_found():
    assert str(LandslideScaleError("a full disk")) == "a full disk"


def test_exit_codes_tell_usage_incomplete_and_broken_apart():
    codes = {kind: kind.exit_code for kind in KINDS}
    wrong = [kind for kind in KINDS if issubclass(kind, errors.InvalidInputError)]
    assert {codes.pop(kind) for kind in wrong} == {2}
    assert codes.pop(errors.IncompleteRunError) == 3
    assert set(codes.values()) == {1}


def test_every_class_is_named_for_a_handler_by_its_place_in_the_tree():
    assert len(KINDS) > 10
    assert issubclass(errors.TryAgainError, errors.ReadError)
    assert issubclass(errors.PermanentReadError, errors.ReadError)
    assert not issubclass(errors.ReadError, errors.InvalidInputError)


def test_what_was_found_may_be_a_sentence_and_no_punctuation_is_doubled():
    inner = str(InvalidConfigError("no asset", expected="one", cure="Name it otherwise."))
    said = "no asset; expected one. Name it otherwise"
    assert str(InvalidConfigError(inner, expected="a scene")) == f"{said}; expected a scene"
    assert str(InvalidConfigError(inner, cure="Look.")) == f"{said}. Look."

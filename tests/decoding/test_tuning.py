import numpy as np
import pytest

from chereme.decoding import at_temperature, beam_search
from chereme.decoding.tuning import TEMPERATURES, fit_temperature, tune
from chereme.errors import InputError
from chereme.metrics import letter_accuracy


@pytest.fixture
def clips(as_log_probs):
    """Blurred readings of 'ab', where the network alone cannot tell b from c."""
    rng = np.random.default_rng(0)
    logits = np.zeros((8, 4, 4))
    logits[:, [0, 1, 2, 3], [1, 0, 2, 0]] = 5
    logits[:, 2, 3] = 5 + rng.normal(size=8) * 0.3
    return list(as_log_probs(logits)), [[1, 2]] * 8


class AfterAComesB:
    def start(self):
        return None

    def step(self, states, symbols):
        rows = np.log(np.array([[0.1, 0.7, 0.1, 0.1], [0.05, 0.05, 0.85, 0.05]]))
        return np.stack([rows[int(s == 1)] for s in symbols]), states


def test_finds_the_weight_that_helps(clips):
    log_probs, references = clips
    trials = tune(log_probs, references, lm=AfterAComesB(), alphas=(0, 0.5), betas=(0, 0.5))
    assert len(trials) == 4
    assert trials[0].alpha == 0.5
    assert trials[0].counts.accuracy == 100.0
    assert trials[-1].counts.accuracy < 100.0
    for trial in trials:
        readings = [
            beam_search(
                c, width=trial.width, lm=AfterAComesB(), alpha=trial.alpha, beta=trial.beta
            )[0].symbols
            for c in log_probs
        ]
        assert letter_accuracy([(1, 2)] * 8, readings) == trial.counts


def test_between_equals_the_cheapest_comes_first(clips):
    log_probs = [c for c in clips[0] if c[2, 2] > c[2, 3]]
    trials = tune(
        log_probs, [[1, 2]] * len(log_probs), lm=None, alphas=(0,), betas=(0.3, 0), widths=(8, 2)
    )
    assert [(t.width, t.beta) for t in trials] == [(2, 0), (2, 0.3), (8, 0), (8, 0.3)]


def test_broken_input(golden):
    for log_probs, references in (([], []), ([golden], [])):
        with pytest.raises(InputError, match="one reference for each"):
            tune(log_probs, references, lm=None)
        with pytest.raises(InputError, match="one reference for each"):
            fit_temperature(log_probs, references)
    with pytest.raises(InputError, match="frames enough for its text"):
        fit_temperature([golden[:2]], [(1, 2, 3)])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 4.0])
def test_finds_the_temperature_that_was_taken_away(as_log_probs, oracle, temperature):
    """Texts drawn from what the networks say; then they are made too sure, or too unsure."""
    rng = np.random.default_rng(3)
    honest = as_log_probs(rng.normal(size=(400, 4, 3)) * 2)
    references = []
    for clip in honest:
        texts = oracle(clip)
        references.append(list(texts)[rng.choice(len(texts), p=np.exp([*texts.values()]))])
    wrong = [at_temperature(clip, 1 / temperature) for clip in honest]
    assert fit_temperature(wrong, references) == pytest.approx(temperature, rel=0.1)
    # The loss at it is least, by exact enumeration of all paths.
    found = fit_temperature(wrong, references)
    at = {
        t: -sum(oracle(at_temperature(c, t))[r] for c, r in zip(wrong, references, strict=True))
        for t in (found / 1.1, found, found * 1.1)
    }
    assert min(at, key=at.get) == found


def test_temperature_without_an_end(golden):
    """One clip that is right is best without any doubt, one that is wrong with nothing but it."""
    log_probs = np.log([[0.1, 0.9], [0.9, 0.1]])
    assert fit_temperature([log_probs], [(1,)]) == pytest.approx(TEMPERATURES[0], rel=0.02)
    assert fit_temperature([log_probs], [()]) == pytest.approx(TEMPERATURES[1], rel=0.02)
    # A clip that no text fits takes no part.
    both = fit_temperature([golden, golden[:1]], [(2, 1, 3), (1, 1)])
    assert both == fit_temperature([golden], [(2, 1, 3)])

# Needs make and Python 3.11 to 3.14 with venv, and nothing else.
#   make demo   make .venv, install chereme, read the example
#   make test   the same with all extras, and run the tests
#   make lint   format, types, and import layers
# Both installs share .venv, in any order: the second time there is nothing left to do.

# Says yes if it is run by a Python that chereme can be installed with.
SUITS := import sys, venv, ensurepip; \
	print("yes" if (3, 11) <= sys.version_info[:2] < (3, 15) else "no")
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$name -c '$(SUITS)' 2>/dev/null | grep -q yes && echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
EXAMPLE ?= examples/hello.mp4
# Fixed, and installed first: what `.[train]` alone would fetch changes from month to month. It may
# hold options of pip too: make TORCH='torch==2.13.0 --index-url ...' test takes the CPU build.
TORCH := torch==2.13.0
# One process a core; networks as small as those of tests gain nothing from threads.
PYTEST_ARGS ?= -n auto --dist worksteal

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint clean
.DELETE_ON_ERROR:

demo: $(VENV)/.installed
	$(BIN)/chereme recognize $(EXAMPLE)

test: $(VENV)/.installed-all
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.installed-all
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A folder that is made here and not finished, for whatever reason, is taken away.
$(VENV)/.created:
	$(if $(filter yes,$(shell { $(PYTHON) -c '$(SUITS)'; } 2>/dev/null)),,$(error chereme needs \
		Python 3.11 to 3.14 with the module venv: make PYTHON=/path/to/python3.12 demo))
	@made=$$(test -e $(VENV) || echo $(VENV)); \
	trap 'rm -rf $$made; exit 1' HUP INT TERM; \
	$(PYTHON) -m venv $(VENV) || { rm -rf $$made; exit 1; }
	@touch $@

# Neither target takes away what the other has installed.
$(VENV)/.installed: $(VENV)/.created pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.installed-all: $(VENV)/.created pyproject.toml
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[train,hub,web,test,dev]'
	touch $@ $(VENV)/.installed

# All of the bundled weights again, from the open collections in DATA (see docs/training.md).
DATA ?= ../shared/data
WEIGHTS := src/chereme/weights

.PHONY: weights weights-landmarks weights-rgb weights-report weights-letters weights-signs
weights: weights-landmarks weights-rgb weights-report weights-letters weights-signs

# Of a checkpoint that is there a training goes on.
resume = $(if $(wildcard $(1)/last.ckpt),--resume $(1)/last.ckpt)
SPELLING := runs/exemplars.npz runs/recordings.npz runs/recordings_2.npz runs/lm/lm.onnx \
	runs/lexicon.txt
SECOND := --config configs/fingerspelling/second.yaml

weights-landmarks: $(VENV)/.installed-all $(SPELLING)
	$(BIN)/chereme train --config configs/fingerspelling/landmarks.yaml $(call resume,runs/landmarks)
	$(BIN)/chereme train --config configs/fingerspelling/landmarks.yaml $(SECOND) \
		--output runs/landmarks_2 $(call resume,runs/landmarks_2)
	$(BIN)/chereme export runs/landmarks/last.ckpt --others runs/landmarks_2/last.ckpt --half \
		--lm runs/lm/lm.onnx --lexicon runs/lexicon.txt --overwrite -o $(WEIGHTS)/fingerspelling \
		--description configs/fingerspelling/landmarks_bundle.json \
		--model-card configs/fingerspelling/MODEL_CARD.md

weights-rgb: $(VENV)/.installed-all $(SPELLING)
	$(BIN)/chereme train --config configs/fingerspelling/hand.yaml $(call resume,runs/hand)
	$(BIN)/chereme train --config configs/fingerspelling/hand.yaml $(SECOND) \
		--output runs/hand_2 $(call resume,runs/hand_2)
	$(BIN)/chereme export runs/hand/last.ckpt --others runs/hand_2/last.ckpt --half \
		--overwrite -o $(WEIGHTS)/fingerspelling_rgb \
		--lm runs/lm/lm.onnx --lexicon runs/lexicon.txt \
		--description configs/fingerspelling/rgb_bundle.json \
		--model-card configs/fingerspelling/MODEL_CARD_RGB.md

# The page of results, runs/others/report.md: people left out, and the bundles on strangers.
weights-report: $(VENV)/.installed-all $(SPELLING) runs/exemplars_dev.npz runs/unseen/manifest.csv
	$(BIN)/python benchmarks/cross_validation.py spelling --exemplars runs/exemplars.npz --folds 3 \
		--lm runs/lm/lm.onnx --lexicon runs/lexicon.txt --output runs/others --root $(DATA) \
		--strangers runs/exemplars_dev.npz \
		--checkpoints '[[runs/landmarks/last.ckpt, runs/landmarks_2/last.ckpt], \
		[runs/hand/last.ckpt, runs/hand_2/last.ckpt]]' \
		--rendered runs/unseen --bundles '[fingerspelling, fingerspelling_rgb]'

# Single letters and digits. What is there is not made again; a training that was stopped goes on.
weights-letters: $(VENV)/.installed-all runs/exemplars.npz runs/digits.npz runs/letters/poses/clips.csv
	$(BIN)/python benchmarks/cross_validation.py letters \
		--exemplars '[runs/exemplars.npz, runs/digits.npz]' --output runs/letters/others
	$(BIN)/chereme train --config configs/signbert/letters.yaml \
		$(call resume,runs/letters/run)
	$(BIN)/chereme export runs/letters/run/last.ckpt --overwrite -o $(WEIGHTS)/fingerspelled_letters \
		--description configs/signbert/letters_bundle.json \
		--model-card configs/signbert/MODEL_CARD_LETTERS.md

# Signs of words.
weights-signs: $(VENV)/.installed-all runs/recorded_signs/everyone/clips.csv runs/recorded_signs/others/clips.csv
	$(BIN)/chereme train --config configs/signbert/signs.yaml $(call resume,runs/signs/run)
	$(BIN)/chereme export runs/signs/run/last.ckpt --overwrite -o $(WEIGHTS)/signs \
		--description configs/signbert/signs_bundle.json \
		--model-card configs/signbert/MODEL_CARD_SIGNS.md

runs/recorded_signs/everyone/clips.csv: | $(VENV)/.installed-all
	$(BIN)/chereme prepare recorded-signs --root $(DATA) -o $(@D)

runs/recorded_signs/others/clips.csv: | $(VENV)/.installed-all
	$(BIN)/chereme prepare other-signs -o $(@D)

runs/exemplars.npz: | $(VENV)/.installed-all
	$(BIN)/chereme prepare exemplars --rendered 64 --root $(DATA) -o $@

runs/recordings.npz: | $(VENV)/.installed-all
	$(BIN)/chereme prepare recordings --root $(DATA) -o $@

runs/recordings_2.npz: | $(VENV)/.installed-all
	$(BIN)/chereme prepare recordings --letters --darker --clips 1000 --root $(DATA) -o $@

runs/exemplars_dev.npz: | $(VENV)/.installed-all
	$(BIN)/chereme prepare exemplars --people-dev --root $(DATA) -o $@

runs/unseen/manifest.csv: | $(VENV)/.installed-all
	$(BIN)/chereme synthesize --corpus 160 --signers 160 --seed 7 --workers 2 -o runs/unseen

runs/lm/lm.onnx: | $(VENV)/.installed-all
	$(BIN)/chereme train --config configs/fingerspelling/lm.yaml

runs/lexicon.txt: | $(VENV)/.installed-all
	$(BIN)/chereme prepare lexicon -o $@

runs/digits.npz: | $(VENV)/.installed-all
	$(BIN)/chereme prepare exemplars --digits --root $(DATA) -o $@

runs/letters/poses/clips.csv: runs/exemplars.npz runs/digits.npz
	$(BIN)/chereme prepare letters --exemplars runs/exemplars.npz --exemplars runs/digits.npz \
		--clips 12800 -o runs/letters/poses

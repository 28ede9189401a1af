"""Bundles on the Hugging Face hub, by addresses such as ``hf://owner/name@revision``.

What comes from there is checked as any other bundle when it is loaded.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chereme._imports import require
from chereme._version import __version__
from chereme.errors import BundleError, CheremeError, OutputError, UsageError, some
from chereme.recognition.bundle import CONFIG, KNOWN, MODEL_CARD, Bundle
from chereme.recognition.config import Config

PREFIX = "hf://"
CARD = "README.md"
"""What the hub shows of a repository; it begins with YAML that the hub's search reads."""
FILES = (CONFIG, MODEL_CARD, *KNOWN)

# Choice: the hub has no pipeline for sign languages; of those that take a video, this one is asked
# for labels.
_PIPELINE = "video-classification"
_LICENCES = re.compile(
    r"mit|isc|unlicense|apache-2\.0|bsd-[23]-clause|mpl-2\.0|[al]?gpl-3\.0|cc0-1\.0|"
    r"cc-by(-nc)?(-sa|-nd)?-4\.0"
)
"""Those of which the hub knows the terms; any other is "other", with its name."""
_TOKEN = "give a token that may, in HF_TOKEN or by: hf auth login"


# Once a process: all parts of a recogniser come from the same commit.
@functools.cache
def fetch(address: str) -> Path:
    """The folder of the bundle at ``hf://owner/name[@revision]``, in the hub's cache.

    What is not there yet is downloaded; without a network the copy in the cache is taken. A
    revision is a branch, a tag or a commit; the default is the branch ``main``.

    Raises ``UsageError`` for no such address, ``BundleError`` where there is no such model or
    revision, it is private, or neither the hub nor a copy can be had, and
    ``MissingDependencyError`` without the extra ``hub``.
    """
    hub = _library()
    place = _parse(hub, address)
    with _asking(hub, address, BundleError):
        folder = hub.snapshot_download(
            place.id,
            revision=place.revision,
            allow_patterns=list(FILES),
            library_name="chereme",
            library_version=__version__,
        )
    if not (Path(folder) / CONFIG).is_file():
        raise BundleError(
            f"{address} holds no {CONFIG}: expected a bundle, as chereme models push uploads it"
        )
    return Path(folder)


def push(
    folder: str | Path, address: str, *, overwrite: bool = False, private: bool | None = None
) -> str:
    """Upload the bundle in ``folder``, with its card, and return its address with the commit.

    The repository at ``hf://owner/name`` is made if there is none, ``private`` or not (None: as the
    owner has set it). One that holds a model or a card is an error without ``overwrite``; with it
    they are replaced, and the hub keeps the earlier commit.

    Raises ``UsageError`` for no such address, ``BundleError`` for a damaged bundle, and
    ``OutputError`` where the hub does not take it.
    """
    hub = _library()
    place = _parse(hub, address)
    if place.revision is not None:
        raise UsageError(f"{address}: bundles go to the branch main; leave out @{place.revision}")
    bundle = Bundle.load(folder)
    names = (CONFIG, *bundle.config.files)
    card = (bundle.directory / MODEL_CARD).read_text("utf-8", "replace")
    changes = [hub.CommitOperationAdd(CARD, hub_card(bundle.config, card, address).encode())]
    changes += [hub.CommitOperationAdd(name, str(bundle.directory / name)) for name in names]
    api = hub.HfApi(library_name="chereme", library_version=__version__)
    with _asking(hub, address, OutputError):
        api.create_repo(place.id, private=private, exist_ok=True)
        found = api.model_info(place.id)
        if private and not found.private:
            raise OutputError(
                f"{address} is there and public; make it private on the hub, give another name, or "
                "leave out --private"
            )
        there = {file.rfilename for file in found.siblings} & {*FILES, CARD}
        if there and not overwrite:
            raise OutputError(
                f"{address} holds {some(sorted(there))}; give --overwrite to replace them, or "
                "another name (the hub keeps the earlier commit)"
            )
        changes += [hub.CommitOperationDelete(name) for name in there - {CARD, *names}]
        done = api.create_commit(
            place.id,
            changes,
            commit_message=f"{bundle.config.name}, sha256 {bundle.sha256}",
            parent_commit=found.sha,  # what somebody else has put there meanwhile is not replaced
        )
    return f"{address}@{done.oid}"


def hub_card(config: Config, model_card: str, address: str) -> str:
    """The hub's card: YAML that its search reads, the model card, and how to use the model."""
    terms = config.licence.weights.strip()
    known = _LICENCES.fullmatch(terms.lower())
    head = _library().ModelCardData(
        license=terms.lower() if known else "other",
        # In the form that the hub wants; the card has the words.
        license_name=None if known else re.sub(r"[^a-z0-9.]+", "-", terms.lower()).strip("-"),
        library_name="chereme",
        pipeline_tag=_PIPELINE,
        tags=["sign-language", config.task, config.input, "onnx"],
    )
    use = f"## Use\n\n    chereme recognize clip.mp4 --model {address}\n"
    return f"---\n{head.to_yaml()}\n---\n\n{model_card.rstrip()}\n\n{use}"


def _library() -> Any:
    """huggingface_hub, with the parts that it does not import itself."""
    hub = require("huggingface_hub", extra="hub")
    for part in ("constants", "errors", "utils"):
        require(f"huggingface_hub.{part}", extra="hub")
    return hub


def _parse(hub: Any, address: str) -> Any:
    """The ``id`` and ``revision`` of an address of a model."""
    try:
        place = hub.utils.parse_hf_uri(address)
        if place.type != "model" or place.path_in_repo:
            part = "a file of " if place.path_in_repo else ""
            raise ValueError(f"this names {part}a {place.type}")
    except ValueError as error:
        raise UsageError(
            f"{address}: expected hf://owner/name or hf://owner/name@revision ({error})"
        ) from error
    return place


@contextmanager
def _asking(hub: Any, address: str, kind: type[CheremeError]) -> Iterator[None]:
    """What the hub or the way to it refuses, as errors of ``kind``; progress on terminals alone."""
    errors = hub.errors
    quiet = not (sys.stderr.isatty() or hub.utils.are_progress_bars_disabled())
    if quiet:
        hub.utils.disable_progress_bars()
    try:
        yield
    except errors.RevisionNotFoundError as error:
        raise kind(
            f"{address}: no such revision; expected a branch, a tag or a commit of this model"
        ) from error
    except errors.GatedRepoError as error:
        raise kind(
            f"{address}: its owners ask that their terms are accepted first, on its page of the "
            f"hub; then {_TOKEN}"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise kind(
            f"{address}: no such model, or it is private; check the name, and if it is private "
            f"{_TOKEN}"
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            advice = _TOKEN
        elif status == 412:  # the parent commit is no longer the last one
            advice = "somebody else has changed it meanwhile: look at it, and try again"
        else:
            advice = "try again later" if status == 429 or status >= 500 else "mend what it names"
        raise kind(f"{address}: the hub refused ({_short(error)}); {advice}") from error
    except errors.LocalEntryNotFoundError as error:
        raise kind(
            f"{address}: there is no whole copy in {hub.constants.HF_HUB_CACHE}, and the hub "
            f"cannot be asked ({_short(error.__cause__ or error)}); connect, or give the folder "
            "of a bundle"
        ) from error
    except (errors.HTTPError, OSError, RuntimeError) as error:  # hf_xet raises RuntimeError
        raise kind(f"{address}: {_short(error)}; check the network and the disk") from error
    except ValueError as error:
        raise kind(f"{address}: {_short(error)}; mend what it names") from error
    finally:
        if quiet:
            hub.utils.enable_progress_bars()


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__

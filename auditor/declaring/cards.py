"""Model cards: the YAML front matter of a README, as the Hugging Face Hub reads it.

Source: https://huggingface.co/docs/hub/model-cards. A card names data and base model, and digests
nothing, so that all that it says is claimed. The YAML is composed and never constructed: a tag, an
alias or a key that stands twice is refused.
"""

from collections.abc import Iterator, Mapping
from itertools import chain

import yaml

from auditor.declaring.declarations import (
    Declaration,
    Declared,
    Fault,
    Kind,
    MalformedError,
    bounded,
    clean,
    told,
)
from auditor.domain.supplies import Part

FENCE = "---"
MOST_FRONT = 2**20
MOST_DEPTH = 30
_NULL = "tag:yaml.org,2002:null"
_PLAIN = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "seq", "map")
)


def front_matter(raw: bytes) -> str | None:
    """Return the front matter of a Markdown text, ``None`` where it has none.

    Raises ``MalformedError`` for a front matter that never ends or is not UTF-8.
    """
    if not raw.removeprefix(b"\xef\xbb\xbf").startswith(FENCE.encode()):
        return None
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        text = f"the card is not UTF-8 (byte {error.start})"
        raise MalformedError(Fault.FORMAT, text) from None
    if lines[0].rstrip() != FENCE:
        return None
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == FENCE:
            return "\n".join(lines[1:number])
    raise MalformedError(Fault.FORMAT, "the front matter opens with --- and never closes")


def read_card(front: str) -> Declaration:
    """Read a card's front matter. Raises ``MalformedError``."""
    found = _compose(front)
    named = [
        *_names(found, "datasets", Part.TRAINING),
        *_names(found, "base_model", Part.BASE_MODEL),
        *_results(found),
    ]
    return Declaration(
        Kind.MODEL_CARD,
        bounded(named),
        told(
            license=found.get("license"),
            license_name=found.get("license_name"),
            metrics=found.get("metrics"),
            library=found.get("library_name"),
            base_model_relation=found.get("base_model_relation"),
        ),
    )


def _names(found: Mapping[str, object], key: str, part: Part) -> Iterator[Declared]:
    value = found.get(key)
    listed = value if isinstance(value, list) else [value]
    for index, name in enumerate(listed):
        if isinstance(name, str) and name:
            yield Declared.of(part, f"{key}[{index}]", clean(name))
        elif name not in (None, ""):
            raise MalformedError(Fault.FORMAT, f"{key} must be a name or a list of names")


def _results(found: Mapping[str, object]) -> Iterator[Declared]:
    """Yield the data of every result that the card reports, once for each."""
    models = found.get("model-index")
    seen: set[str] = set()
    listed = models if isinstance(models, list) else []
    results = chain.from_iterable(
        item["results"]
        for item in listed
        if isinstance(item, dict) and isinstance(item.get("results"), list)
    )
    for result in results:
        dataset = result.get("dataset") if isinstance(result, dict) else None
        name = dataset.get("type") or dataset.get("name") if isinstance(dataset, dict) else None
        if isinstance(name, str) and name not in seen:
            seen.add(name)
            yield Declared.of(Part.EVALUATION, "model-index", clean(name))


def _compose(front: str) -> Mapping[str, object]:
    if len(front) > MOST_FRONT:
        raise MalformedError(Fault.TOO_LARGE, f"the front matter has more than {MOST_FRONT} signs")
    try:
        _refuse_aliases(front)
        node = yaml.compose(front, Loader=yaml.SafeLoader)
        found = None if node is None else _plain(node, 0)
    except yaml.MarkedYAMLError as error:
        line = 1 if error.problem_mark is None else error.problem_mark.line + 2
        text = f"line {line} of the front matter is no YAML: {clean(error.problem or '')}"
        raise MalformedError(Fault.FORMAT, text) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        text = f"the front matter is no YAML: {clean(str(error))}"
        raise MalformedError(Fault.FORMAT, text) from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise MalformedError(Fault.FORMAT, "the front matter is no mapping")
    return found


def _refuse_aliases(front: str) -> None:
    """Look for aliases before anything is built: a few lines of them stand for millions."""
    for event in yaml.parse(front, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise MalformedError(Fault.FORMAT, "the front matter holds an alias")


def _plain(node: yaml.Node, depth: int) -> object:
    """Return a node as texts, lists and mappings; numbers and dates stay as they are written."""
    if depth > MOST_DEPTH:
        raise MalformedError(Fault.FORMAT, f"the front matter nests deeper than {MOST_DEPTH}")
    if node.tag not in _PLAIN:
        text = f"line {node.start_mark.line + 2} of the front matter has the tag {clean(node.tag)}"
        raise MalformedError(Fault.FORMAT, text)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, depth + 1) for item in node.value]
    if not isinstance(node, yaml.MappingNode):
        return None if node.tag == _NULL else str(node.value)
    found: dict[str, object] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in found:
            text = f"{clean(name)} stands twice, at line {key.start_mark.line + 2} of the card"
            raise MalformedError(Fault.DUPLICATE_KEY, text)
        found[name] = _plain(value, depth + 1)
    return found

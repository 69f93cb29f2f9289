"""Words that stand for each other: the small list that we ship, and lists of the user."""

from collections.abc import Mapping, Sequence

from auditor.errors import PolicyError

SHIPPED = (
    "also=too",
    "answer=reply,response",
    "awful=terrible,dreadful,horrible",
    "bad=poor,lousy",
    "begin=start,commence",
    "big=large",
    "brief=short",
    "buy=purchase",
    "called=named",
    "change=alter,modify",
    "check=verify,inspect",
    "choose=select,pick",
    "close=shut",
    "complete=entire,finish",
    "correct=right,proper",
    "create=make,build",
    "current=present",
    "delete=remove,erase",
    "describe=depict",
    "directory=folder",
    "end=finish,stop",
    "error=mistake,fault",
    "excellent=superb,outstanding",
    "fast=quick,rapid",
    "file=document",
    "film=movie,picture",
    "finish=complete,end",
    "fix=repair,mend",
    "folder=directory",
    "function=routine",
    "funny=amusing",
    "get=obtain,fetch",
    "give=provide,supply",
    "given=supplied,provided",
    "good=fine,decent",
    "great=terrific,superb",
    "happy=glad,pleased",
    "help=assist,aid",
    "hold=contain",
    "horrible=awful,terrible",
    "important=vital,significant",
    "issue=problem",
    "job=task",
    "keep=retain,preserve",
    "large=big,huge",
    "list=enumerate",
    "little=small",
    "look=appear,seem",
    "main=principal,chief",
    "make=create,build",
    "mistake=error,fault",
    "movie=film",
    "need=require",
    "new=fresh,recent",
    "number=count",
    "often=frequently",
    "only=merely,solely",
    "part=portion,piece",
    "place=location,spot",
    "problem=issue,trouble",
    "provide=give,supply",
    "purchase=buy",
    "quick=fast,rapid",
    "quickly=fast,rapidly",
    "read=peruse",
    "remove=delete,erase",
    "request=ask",
    "return=yield,give",
    "returns=yields,gives",
    "right=correct",
    "sad=unhappy",
    "select=choose,pick",
    "send=transmit,dispatch",
    "sent=transmitted",
    "set=put",
    "show=display,present",
    "small=little,tiny",
    "start=begin,commence",
    "stop=end,halt",
    "strange=odd,weird",
    "stupid=silly,foolish",
    "task=job",
    "tell=inform",
    "terrible=awful,horrible",
    "text=wording",
    "try=attempt",
    "use=employ",
    "used=employed",
    "using=employing",
    "verify=check,inspect",
    "very=highly,extremely",
    "whole=entire",
    "write=record,compose",
    "wrong=incorrect,mistaken",
)
"""Written for auditor: English words with some that a reader may take for them."""


def read_synonyms(lines: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    """Read lines of the form ``word=other,another``: the first may become each of the others.

    Raises ``PolicyError`` for a line of another form, and for what is no single word.
    """
    found: dict[str, tuple[str, ...]] = {}
    for line in lines:
        word, sign, others = line.partition("=")
        group = [item.strip().lower() for item in (word, *others.split(","))]
        if not sign or not all(item.isalnum() for item in group) or len(set(group)) < len(group):
            raise PolicyError(
                f"the synonyms {line!r} of evasion.text are no line of words",
                cure="Write `word=other` or `word=other,another`: single words, each once.",
            )
        more = (*found.get(group[0], ()), *group[1:])
        found[group[0]] = tuple(dict.fromkeys(more))
    return found

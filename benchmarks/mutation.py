"""Mutation testing: which small changes of four modules no test notices; writes ``results/mutation.json``.

mutmut changes one place of one function at a time (an operator, a number, an argument, a string, an assigned value) and
runs the tests that reach the function. A change that makes one fail is killed, one that none notices survives. The
score is the share of killed mutants, those that never end included, among all but the equivalent ones: changes that
make no difference to any caller, each of which stands with its reason in ``mutation_equivalent.json``, as the function,
the line before and the line after. ``score_of_all`` counts these as survivors.

The tests are the fast ones of the files named below. What mutmut does not change: constants of modules and classes, and
functions under a decorator other than ``staticmethod`` and ``classmethod``, such as properties and cached functions.

``--sample 100`` takes so many mutants of each module, drawn with a seed, and adds a 95 % interval (Wilson) for the
score of all; the quick form is a sample of 10. ``--survivors`` runs again what the stored results say no test noticed,
after tests were added; what was killed stays killed, since the sources have to be the same. Results carry the commit of
the last run, and of the first one where these were its survivors alone. Copies of the tree are worked on in
``out/mutation``, never the tree itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import hashlib
import importlib.util
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness import HERE, ROOT, Run, Setting

WORK = ROOT / "out" / "mutation"
PLACE = ("file", "function", "before", "after")  # what tells a mutant, whatever else changes in its file
PACKAGES = ("coreset", "imputation_eval", "analog_eval")
# A fork server, so that every mutant meets tests that never ran: hypothesis refuses methods that run twice.
CONFIGURATION = """[mutmut]
source_paths=
    {packages}
only_mutate={sources}
also_copy=conftest.py
process_isolation=forkserver
pytest_add_cli_args_test_selection=
    {tests}
pytest_add_cli_args=
    -m
    not slow
    -p
    no:cacheprovider
    -p
    no:unraisableexception
    {deselected}
"""
# Short tests first, so that most mutants are killed in a second. mutmut keeps seconds a test beside the mutants.
SHORT_FIRST = '''"""Short tests first."""
import json
from pathlib import Path

TIMES = Path("mutmut-stats.json")


def pytest_collection_modifyitems(items):
    seconds = json.loads(TIMES.read_text())["duration_by_test"] if TIMES.exists() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
'''


@dataclasses.dataclass(frozen=True)
class Module:
    """Sources that are changed, a glob pattern, and the tests that should notice."""

    sources: str
    tests: tuple[str, ...]
    deselected: tuple[str, ...] = ()  # tests of seconds, which are about other modules


MODULES = {
    "coreset.points": Module(
        "coreset/points.py",
        tuple(f"tests/coreset/test_{name}.py" for name in ("points", "widths", "scatter", "targets")),
    ),
    "coreset.wire": Module(
        "coreset/wire/*.py",
        tuple(
            f"tests/coreset/test_{name}.py"
            for name in (
                "wire",
                "wire_errors",
                "wire_parts",
                "names",
                "message_edges",
                "target_messages",
                "format_page",
            )
        ),
        (
            "test_wire.py::test_malice_with_a_mended_checksum_is_an_error_or_a_valid_coreset",
            "test_names.py::test_names_of_digits_take_no_longer_than_others",
            "test_names.py::test_a_million_names_and_more_are_not_squeezed",
            "test_message_edges.py::test_a_hundred_thousand_names",
            "test_message_edges.py::test_a_hundred_thousand_columns",
            "test_message_edges.py::test_budgets_below_one_point_say_what_is_enough",
            "test_target_messages.py::test_shards_agree_on_numbers_although_one_looks_like_classes",
            "test_target_messages.py::test_no_message_exceeds_its_budget_and_the_least_budget_is_true",
            "test_target_messages.py::test_a_regression_within_two_kilobytes",
            "test_target_messages.py::test_a_base_decides_what_the_target_is",
            "test_target_messages.py::test_workers_that_see_only_their_own_shard_and_disagree_are_named",
        ),
    ),
    "imputation_eval.dissimilarity": Module(
        "imputation_eval/dissimilarity.py", ("tests/imputation_eval/test_dissimilarity.py",)
    ),
    "analog_eval.noise": Module(
        "analog_eval/noise/*.py", ("tests/analog_eval/test_noise.py", "tests/analog_eval/test_noise_models.py")
    ),
}


SETTINGS = {
    "modules": Setting(tuple(MODULES), free=True, more={"choices": list(MODULES)}),
    "sample": Setting(0, 10, "so many mutants of each module, drawn with a seed; 0 is all", free=True),
    "seed": Setting(0, help="of the sample", free=True),
    "survivors": Setting(False, help="only those that the stored results say no test noticed", free=True),
}


def main() -> None:
    run = Run(__file__, __doc__, SETTINGS)
    given = run.given
    if importlib.util.find_spec("mutmut") is None:
        run.skip("mutmut is not installed")
        return
    if given.survivors and given.sample:
        run.parser.error("--survivors and --sample exclude each other")
    stored: dict[str, Any] = run.stored().get("modules", {})
    if given.survivors and (absent := [name for name in given.modules if name not in stored]):
        run.parser.error(f"--survivors: {run.path} has no results of {', '.join(absent)}")
    for name in given.modules:
        before = stored[name] if given.survivors else None
        if before is not None and not names_unnoticed(before):
            print(f"{name}: no mutant survived")
            continue
        module = {
            "date": time.strftime("%Y-%m-%d"),
            "command": " ".join(["python benchmarks/mutation.py", *sys.argv[1:]]),
            "commit": _commit(),
            "mutmut": version("mutmut"),
        }
        if before is not None:
            module["first_run"] = before.get("first_run") or {key: before.get(key) for key in module}
        stored[name] = module | measure(name, given.sample or None, given.seed, before)
        print("{}: score {score:.3f}, {survived} of {mutants} survived".format(name, **stored[name]), flush=True)
        run.save({"modules": stored})
    run.finish({"modules": stored})


def measure(name: str, sample: int | None, seed: int, before: dict[str, Any] | None) -> dict[str, Any]:
    """Counts, scores and survivors of one module; with those of `before`, its unnoticed mutants alone are run again."""
    module, tree = MODULES[name], WORK / name
    copy_tree(tree, module)
    sources = _digest(tree, module)
    chosen = [] if sample is None else some_mutants(tree, module, sample, seed)
    if before is not None:
        if before["sources"] != sources:
            raise SystemExit(f"{name} has changed since its mutants were stored: run all of them")
        chosen = names_unnoticed(before)
    command = [sys.executable, "-c", "from mutmut.__main__ import cli; cli()", "run", "--max-children", "1", *chosen]
    with (tree / "log").open("w") as log:  # one thread, as in `make test`
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        subprocess.run(command, cwd=tree, check=True, stdout=log, stderr=log, env=environment)
    found = [one for one in outcomes(tree, module) if not chosen or one["mutant"] in chosen]
    return {"sources": sources, **summarized(found, before, sampled=sample is not None)}


def names_unnoticed(stored: dict[str, Any]) -> list[str]:
    """Names of the mutants that no test noticed, whether they could or not."""
    return [one["mutant"] for one in stored["survivors"]] + stored["equivalents"]


def copy_tree(tree: Path, module: Module) -> None:
    """The packages, their tests and the settings of mutmut, in an empty folder."""
    shutil.rmtree(tree, ignore_errors=True)
    for folder in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, tree / file)
    (tree / "conftest.py").write_text(SHORT_FIRST)
    folder = Path(module.tests[0]).parent
    settings = CONFIGURATION.format(
        packages="\n    ".join(PACKAGES),
        sources=module.sources,
        tests="\n    ".join(module.tests),
        deselected="\n    ".join(f"--deselect={folder / test}" for test in module.deselected),
    )
    (tree / "setup.cfg").write_text(settings)


def some_mutants(tree: Path, module: Module, n: int, seed: int) -> list[str]:
    """Names of so many mutants, the same ones in every run of the same code."""
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name

    with contextlib.chdir(tree):
        names = [
            get_mutant_name(path, name)
            for path in sorted(Path().glob(module.sources))
            for name in mutate_file_contents(str(path), path.read_text(encoding="utf-8")).mutant_names
        ]
    return sorted(random.Random(seed).sample(names, min(n, len(names))))


def outcomes(tree: Path, module: Module) -> list[dict[str, str]]:
    """What became of every mutant that was run: status, file, function, and the lines before and after."""
    from mutmut.mutation.data import MutantLineSpans, SourceFileMutationData
    from mutmut.stats import status_by_exit_code

    found = []
    with contextlib.chdir(tree):
        for path in sorted(Path().glob(module.sources)):
            data = SourceFileMutationData(path=path)
            data.load()
            spans = MutantLineSpans.load(path)
            for key, code in data.exit_code_by_key.items():
                if code is None:
                    continue
                mutant = key.rpartition(".")[2]
                original = re.sub(r"__mutmut_\d+\Z", "__mutmut_orig", mutant)
                lines = [source.splitlines() for source in spans.read_function_sources([original, mutant])]
                before, after = _changed(*lines)
                found.append(
                    {
                        "mutant": key,
                        "status": status_by_exit_code[code],
                        "file": str(path),
                        "function": ".".join(part for part in re.split("__mutmut|ǁ|^x_|^x(?=ǁ)", mutant)[:-1] if part),
                        "before": before,
                        "after": after,
                    }
                )
    return found


def _changed(original: list[str], mutant: list[str]) -> tuple[str, str]:
    """The lines that differ, but for the name of the function."""
    named = [[re.sub(r"x_?(ǁ\w+ǁ)?(\w+)__mutmut_\w+", r"\2", line) for line in lines] for lines in (original, mutant)]
    lines = [line for line in difflib.ndiff(*named) if line[0] in "+-"]
    before, after = (" ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+")
    return before, after


def summarized(found: list[dict[str, str]], before: dict[str, Any] | None, *, sampled: bool) -> dict[str, Any]:
    """Counts and scores; a mutant counts as equivalent only where no test notices it."""
    declared = json.loads((HERE / "mutation_equivalent.json").read_text(encoding="utf-8"))
    equivalent = {tuple(entry[key] for key in PLACE) for entry in declared}
    unnoticed = [one for one in found if one["status"] not in ("killed", "timeout", "segfault")]
    same = [one["mutant"] for one in unnoticed if tuple(one[key] for key in PLACE) in equivalent]
    survivors = [one for one in unnoticed if one["mutant"] not in same]
    timeout = sum(one["status"] == "timeout" for one in found)
    mutants = len(found) if before is None else before["mutants"]
    if before is not None:
        timeout += before["timeout"]
    noticed = mutants - len(unnoticed)
    return {
        "mutants": mutants,
        "killed": noticed - timeout,
        "timeout": timeout,
        "survived": len(survivors),
        "untested": sum(one["status"] == "no tests" for one in survivors),
        "equivalent": len(same),
        "score": noticed / (mutants - len(same)),
        "score_of_all": noticed / mutants,
        **({"interval": _wilson(noticed, mutants - len(same))} if sampled else {}),
        # Tests that were written for the survivors of a sample say nothing of the mutants outside of it.
        **({"interval": before["interval"]} if before is not None and "interval" in before else {}),
        "survivors": [{key: one[key] for key in ("mutant", *PLACE)} for one in survivors],
        "equivalents": same,
    }


def _wilson(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    centre, spread = successes + z * z / 2, z * (successes * (n - successes) / n + z * z / 4) ** 0.5
    return (centre - spread) / (n + z * z), (centre + spread) / (n + z * z)


def _commit() -> str:
    """The commit of the tree, marked where what is changed and what tests it differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    differs = git("status", "--porcelain", "--", *PACKAGES, "tests")
    return git("rev-parse", "--short=12", "HEAD") + ("-dirty" if differs else "")


def _digest(tree: Path, module: Module) -> str:
    """Of the sources: the names of mutants mean the same for as long as it stays."""
    data = b"".join(path.read_bytes() for path in sorted(tree.glob(module.sources)))
    return hashlib.sha256(data).hexdigest()[:16]


if __name__ == "__main__":
    main()

"""For the site: files outside docs/ that a page links to come along, under repository/.

On the repository page `../results/study.md` is a link like any other. The site holds docs/ alone,
so these files are copied into it, Markdown among them as pages, and the links are turned to the
copies. A link of such a copy to a folder of docs/ leads to the first page in it. Links to other
folders, and to files that are not there, stay as they are: the strict build names them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, InclusionLevel

COPIES = "repository"
LINK = re.compile(r"(\]\()([^)\s#]+)([^)]*\))")


def on_files(files: Any, config: Any) -> Any:
    """Add what docs/ links to outside itself, and what those pages link to in turn."""
    docs = Path(config.docs_dir).resolve()
    known, waiting = set(), [page.abs_src_path for page in files.documentation_pages()]
    while waiting:
        page = Path(waiting.pop())
        for _, target, _ in LINK.findall(page.read_text(encoding="utf-8")):
            path = outside(page, target, docs)
            if path is None or path in known:
                continue
            known.add(path)
            name = f"{COPIES}/{path.relative_to(docs.parent).as_posix()}"
            # Not in the navigation, and that is meant.
            made = File.generated(
                config, name, abs_src_path=str(path), inclusion=InclusionLevel.NOT_IN_NAV
            )
            files.append(made)
            if path.suffix == ".md":
                waiting.append(str(path))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links from the repository's layout to the site's."""
    docs = Path(config.docs_dir).resolve()
    here = Path(page.file.abs_src_path)
    start = Path(page.file.src_uri).parent
    is_copy = page.file.src_uri.startswith(f"{COPIES}/")

    def turned(match: re.Match[str]) -> str:
        before, target, after = match.groups()
        path = outside(here, target, docs)
        if path is not None:
            target = f"{COPIES}/{path.relative_to(docs.parent).as_posix()}"
        elif is_copy and "://" not in target:  # a copy that points back into docs/
            inside = (here.parent / target).resolve()
            pages = sorted(inside.glob("*.md")) if inside.is_dir() else []
            target = os.path.relpath(pages[0] if pages else inside, docs)
        else:
            return match.group()
        return f"{before}{Path(os.path.relpath(target, start)).as_posix()}{after}"

    return LINK.sub(turned, markdown)


def outside(page: Path, target: str, docs: Path) -> Path | None:
    """The file that a link of `page` means, when it lies in the repository but not in docs/."""
    if "://" in target or target.startswith("mailto:"):
        return None
    path = (page.parent / target).resolve()
    inside = path.is_relative_to(docs) or not path.is_relative_to(docs.parent)
    return None if inside or not path.is_file() else path
